"""Texts that become more than text where a page is careless: then they call ``hit()`` or ask for ``/hit``."""

from typing import Any

INJECTIONS = (
    "<script>hit()</script>",
    "</script><script>hit()</script>",
    "</title></style></textarea></noscript></template><script>hit()</script>",
    "<img src=x onerror=hit()>",
    "<IMG SRC=/hit ONERROR=hit()>",
    '"><img src=/hit onerror=hit()>',
    "' onmouseover='hit()' autofocus onfocus='hit()' x='",
    '" onpointerenter="hit()" style="position:fixed;inset:0" x="',
    "<svg onload=hit()>",
    "<svg><script>hit()</script></svg>",
    '<svg><use href="data:image/svg+xml,<svg id=x xmlns=http://www.w3.org/2000/svg onload=hit()>#x"/></svg>',
    "<svg><animate onbegin=hit() attributeName=x dur=1s></svg>",
    "<math><mtext><table><mglyph><style><img src=/hit onerror=hit()>",
    "<iframe srcdoc='<script>parent.hit()</script>'></iframe>",
    "<iframe src=javascript:parent.hit()></iframe>",
    "<a href=javascript:hit()>Bed 1</a>",
    "javascript:hit()//",
    "data:text/html,<script>hit()</script>",
    "<object data=/hit></object><embed src=/hit>",
    "<link rel=stylesheet href=/hit><style>@import '/hit';</style>",
    "<base href=//hit.invalid/><meta http-equiv=refresh content='0;url=/hit'>",
    "<form action=/hit><button autofocus onfocus=hit()>",
    "<body onload=hit()><details open ontoggle=hit()>",
    "<template shadowrootmode=open><script>hit()</script></template>",
    "${hit()} #{hit()} {{constructor.constructor('hit()')()}} <%= hit() %>",
    "'];hit();//\\u0022;hit();//",
    "line\u2028hit()\u2029hit()//",
    "\u202eidE deb\u2066\u202d<b>overridden</b>\u200f\u0000\ufeff\x1b[2J",
    "__proto__",
    "<b>" + "very long " * 500 + "</b>" + "A" * 5_000,
)
assert len(INJECTIONS) == 30

PROTOTYPE_TRICKS: tuple[dict[str, Any], ...] = (
    {"__proto__": {"polluted": "yes", "toString": None}},
    {"constructor": {"prototype": {"polluted": "yes"}}},
    {"toString": "hit()", "valueOf": {}, "toJSON": "hit()", "then": "hit()", "length": 1e9},
)
"""Objects where a text belongs."""

WATCHED = """
window.hits = [];
window.hit = (what = "called") => hits.push(what);
addEventListener("securitypolicyviolation", (event) => hits.push(`policy: ${event.blockedURI}`));
"""
"""Runs before the page's own scripts."""

SIGNATURE = """() => [...document.querySelectorAll("*")]
  .filter((element) => !element.closest("#alerts, #events, .empty"))
  .map((element) => `${element.localName} ${element.getAttributeNames().sort()}`)"""
"""Every element outside of the lists and their stand-ins, with the names of its attributes."""
