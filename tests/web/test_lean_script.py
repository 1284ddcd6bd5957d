from wsserver.web.lean_script import lean_script, lean_style

SOURCE = """// @ts-check
import { a } from "./a.js";
/** @import {B} from "./b.js" */

/**
 * Something.
 *
 * @param {B} b
 */
export function f(b) {
  // Because.
  const url = "http://x/y"; // stays: it is not alone
  const all = /** @type {any} */ (b);

  return a(all, url, /[^/*]/);
}
"""

LEAN = """import { a } from "./a.js";
export function f(b) {
const url = "http://x/y"; // stays: it is not alone
const all = (b);
return a(all, url, /[^/*]/);
}
"""


def test_comments_on_lines_of_their_own_jsdoc_and_indentation_go():
    assert lean_script(SOURCE) == LEAN


def test_a_lean_script_stays_as_it_is():
    assert lean_script(LEAN) == LEAN


def test_a_style_sheet_loses_its_comments_and_indentation():
    style = "/* What\n   for */\n\na,\nb { color: red; } /* stays */\n@media (x) {\n  a { top: 0; }\n}\n"
    assert lean_style(style) == "a,\nb { color: red; } /* stays */\n@media (x) {\na { top: 0; }\n}\n"
