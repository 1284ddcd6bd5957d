// @ts-check
import { el, fill } from "./dom.js";
import { empty, failed, loading } from "./placeholder.js";

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} label
 * @property {(row: Row) => import("./dom.js").Child | import("./dom.js").Child[]} cell
 * @property {string} [sort] the name by which the server sorts
 * @property {boolean} [numeric] right, and sorted from the largest first
 * @property {boolean} [head] the cell that names its row
 * @property {string} [kind] a class of its cells
 */

/**
 * A real table in a place of its own that scrolls, and what stands there while there are no rows. Where columns have
 * a `sort`, a click asks for it by `onSort`.
 *
 * @template Row
 */
export class DataTable {
  #columns;
  #onSort;
  #head = el("tr");
  #body = el("tbody");
  #sort = "";
  #scroll;
  #none;

  /**
   * @param {string} caption
   * @param {[title: string, text?: string, symbol?: string]} none what is said when there are no rows
   * @param {Column<Row>[]} columns
   * @param {(sort: string) => void} [onSort] told `name` or `-name`
   */
  constructor(caption, none, columns, onSort) {
    this.#none = none;
    this.#columns = columns;
    this.#onSort = onSort;
    const table = el("table", null, el("caption", null, caption), el("thead", null, this.#head), this.#body);
    // It can be scrolled by keys only if it can be reached by them.
    this.#scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Table: ${caption}` }, table);
    this.element = el("div", null, loading());
    this.#headings();
  }

  /** What it is sorted by: `name` or, from the largest, `-name`. @param {string} sort */
  set sort(sort) {
    if (sort === this.#sort) return;
    this.#sort = sort;
    this.#headings();
  }

  /** @param {unknown} error @param {() => void} again */
  fail(error, again) {
    fill(this.element, failed(error, again));
  }

  /** @param {Row[]} rows @param {[title: string, text?: string, symbol?: string]} [none] another word for none of them */
  show(rows, none = this.#none) {
    if (rows.length === 0) return fill(this.element, empty(...none));
    if (this.element.firstElementChild !== this.#scroll) fill(this.element, this.#scroll);
    const focused = this.#place();
    fill(
      this.#body,
      rows.map((row) =>
        el(
          "tr",
          null,
          this.#columns.map(({ cell, head, numeric, kind: look }) => {
            const attributes = { class: `${numeric ? "numeric" : ""} ${look ?? ""}`.trim() || null };
            const content = cell(row);
            return head
              ? el("th", { scope: "row", ...attributes }, /** @type {any} */ (content))
              : el("td", attributes, /** @type {any} */ (content));
          }),
        ),
      ),
    );
    if (focused !== null) this.#focusables()[focused]?.focus();
  }

  /** The same place keeps the focus when the rows are drawn anew. */
  #place() {
    const place = this.#focusables().indexOf(/** @type {HTMLElement} */ (document.activeElement));
    return place < 0 ? null : place;
  }

  /** @returns {HTMLElement[]} */
  #focusables() {
    return [...this.#body.querySelectorAll(/** @type {"a"} */ ("a, button"))];
  }

  #headings() {
    const name = this.#sort.replace(/^-/, "");
    const order = this.#sort.startsWith("-") ? "descending" : "ascending";
    fill(
      this.#head,
      this.#columns.map(({ label, sort, numeric, kind }) => {
        const sorted = sort !== undefined && sort === name;
        const attributes = { scope: "col", class: `${numeric ? "numeric" : ""} ${kind ?? ""}`.trim() || null };
        if (sort === undefined || this.#onSort === undefined) return el("th", attributes, label);
        return el(
          "th",
          { ...attributes, "aria-sort": sorted ? order : null },
          el("button", { type: "button", onclick: () => this.#ask(sort, sorted, numeric) }, label),
        );
      }),
    );
  }

  /** @param {string} sort @param {boolean} sorted @param {boolean | undefined} numeric */
  #ask(sort, sorted, numeric) {
    const turned = this.#sort.startsWith("-") ? sort : `-${sort}`;
    const wanted = sorted ? turned : numeric ? `-${sort}` : sort;
    this.#onSort?.(wanted);
    this.sort = wanted;
    const place = this.#columns.findIndex((column) => column.sort === sort);
    this.#head.children[place]?.querySelector("button")?.focus();
  }
}
