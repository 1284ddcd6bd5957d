"use strict";
// Draws the charts that are lines; bars and tables are in the page already.
{
  const HEIGHT = 260;
  /** Pixels that a number below the horizontal axis needs. */
  const ROOM = 52;
  /** Pixels of a printed page. */
  const PAPER = 640;
  const DASHES = [[], [], [], [], [7, 3], [7, 3], [7, 3], [7, 3]];
  const plots = [];

  const probe = document.createElement("span");
  probe.textContent = ".";
  probe.setAttribute("aria-hidden", "true");
  document.body.append(probe);

  /** The colour that a class has in the scheme of now. */
  function colour(name) {
    probe.className = `probe ${name}`;
    return getComputedStyle(probe).color;
  }

  /** Three digits that count. */
  function readable(value) {
    if (value === null || value === undefined) return "–";
    const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
    return value.toLocaleString("en", digits);
  }

  function draw(chart) {
    const place = document.getElementById(chart.id);
    const values = [...document.querySelectorAll(`#${chart.id}-legend b`)];
    const data = [chart.places];
    const series = [{}];
    const bands = [];
    chart.lines.forEach((line, number) => {
      const tone = `tone-${number % 8}`;
      series.push({
        stroke: () => colour(tone),
        width: 2,
        dash: line.reference ? [4, 4] : DASHES[number % 8],
        spanGaps: true,
        points: { show: !line.reference, size: 6, fill: () => colour(tone) },
      });
      data.push(line.values);
    });
    // The edges of a band are series that nobody sees.
    chart.lines.forEach((line, number) => {
      if (line.most.length === 0) return;
      const edge = { stroke: "transparent", width: 0, points: { show: false } };
      series.push(edge, edge);
      data.push(line.most, line.least);
      bands.push({ series: [data.length - 2, data.length - 1], fill: () => colour(`tone-${number % 8}`).replace("rgb(", "rgba(").replace(")", ", 0.16)") });
    });
    const axis = { stroke: () => colour("axis-tone"), font: "12px system-ui, sans-serif", gap: 6, ticks: { show: false } };
    const grid = { stroke: () => colour("grid-tone"), width: 1 };
    const plot = new uPlot(
      {
        width: width(place),
        height: HEIGHT,
        padding: [8, 20, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, y: false, points: { size: 8 } },
        scales: {
          x: { time: false, distr: chart.xLogarithmic ? 3 : 1 },
          y: chart.yLogarithmic ? { distr: 3 } : { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.06 : 1] },
        },
        series,
        bands,
        axes: [
          { ...axis, grid: { show: false }, size: 28, splits: () => chart.places, filter: (_, splits) => splits, values: (self, splits) => thinned(self, splits) },
          { ...axis, grid, size: 64, values: (_, splits) => splits.map((value) => (value === null ? "" : readable(value))) },
        ],
        hooks: { setCursor: [(self) => show(chart, values, self.cursor.idx)] },
      },
      data,
      place,
    );
    plots.push([plot, place]);
  }

  /** The numbers below the axis, without those for which there is no room. */
  function thinned(plot, splits) {
    let free = -Infinity;
    return splits.map((value) => {
      const at = plot.valToPos(value, "x");
      if (at < free) return "";
      free = at + ROOM;
      return readable(value);
    });
  }

  /** In the legend: the values under the cursor. */
  function show(chart, values, index) {
    chart.lines.forEach((line, number) => {
      values[number].textContent = index === null || index === undefined ? "" : readable(line.values[index]);
    });
  }

  function width(place) {
    return "printed" in document.documentElement.dataset ? PAPER : Math.max(160, place.clientWidth);
  }

  function fit() {
    for (const [plot, place] of plots) {
      if (plot.width !== width(place)) plot.setSize({ width: width(place), height: HEIGHT });
      plot.redraw(false, true);
    }
  }

  JSON.parse(document.getElementById("charts").textContent).forEach(draw);
  addEventListener("resize", fit);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", fit);

  let opened = [];
  addEventListener("beforeprint", () => {
    document.documentElement.dataset.printed = "";
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
    fit();
  });
  addEventListener("afterprint", () => {
    delete document.documentElement.dataset.printed;
    for (const one of opened) one.open = false;
    fit();
  });
  document.documentElement.dataset.drawn = String(plots.length);
}
