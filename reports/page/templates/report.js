"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Figures: drawn when they become visible, in the colours of the page. Their toolbar saves them as SVG.
  const drawn = new Map();
  const settings = (element) => ({
    responsive: false,
    displaylogo: false,
    modeBarButtons: [["toImage"]],
    toImageButtonOptions: { format: "svg", filename: element.id },
  });

  function themed(layout) {
    const axis = { gridcolor: colour("--rule"), linecolor: colour("--rule"), tickcolor: colour("--rule"), automargin: false };
    // An opaque background keeps a saved figure readable wherever it is shown.
    const result = { ...layout, paper_bgcolor: colour("--paper"), plot_bgcolor: "rgba(0,0,0,0)" };
    result.modebar = { bgcolor: "rgba(0,0,0,0)", color: colour("--muted"), activecolor: colour("--ink") };
    result.font = { family: colour("--sans"), size: 12, color: colour("--ink") };
    result.hoverlabel = { bgcolor: colour("--faint"), bordercolor: colour("--rule"), font: { color: colour("--ink"), size: 12 } };
    for (const name of Object.keys(layout).filter((key) => /^[xy]axis/.test(key))) {
      result[name] = { ...axis, ...layout[name] };
    }
    return result;
  }

  function draw(element) {
    let figure = drawn.get(element);
    if (!figure) {
      figure = JSON.parse(document.querySelector(`script[data-for="${element.id}"]`).textContent);
      drawn.set(element, figure);
    }
    const width = element.clientWidth;
    element.dataset.width = width;
    return Plotly.react(element, figure.data, { ...themed(figure.layout), width }, settings(element));
  }

  const seen = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const width = target.clientWidth;
      if (width > 0 && Number(target.dataset.width) !== width) draw(target);
    }
  });
  all(".figure").forEach((element) => seen.observe(element));
  const redraw = () => drawn.forEach((_, element) => draw(element));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // Printing: open everything, and fit figures to the width of the sheet.
  addEventListener("beforeprint", () => {
    all("details").forEach((element) => { element.open = true; });
    document.documentElement.classList.add("printing");
    all(".figure").filter((element) => element.clientWidth > 0).forEach(draw);
  });
  addEventListener("afterprint", () => {
    document.documentElement.classList.remove("printing");
    redraw();
  });

  // Sorting: numbers by value, everything else by text; empty cells last.
  function key(row, column) {
    const cell = row.cells[column];
    const number = row.closest("table").tHead.rows[0].cells[column].classList.contains("number");
    if (!number && !("value" in cell.dataset)) return cell.textContent.trim().toLowerCase();
    const value = cell.dataset.value ?? cell.textContent.trim();
    return value === "" ? null : Number(value);
  }
  function sort(table, column, direction) {
    const sign = direction === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => (a === null) - (b === null) || sign * (a < b ? -1 : a > b ? 1 : 0));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }
  for (const table of all("table.sortable")) {
    all("thead th", table).forEach((heading, column) => {
      const button = document.createElement("button");
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const next = heading.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
        all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", next);
        sort(table, column, next);
      });
    });
  }

  // Filtering: hide every element that belongs to another condition or method than the selected one.
  const choices = ["condition", "method"].map((name) => [name, document.getElementById(`filter-${name}`)]);
  function filter() {
    for (const element of all("main [data-condition], main [data-method]")) {
      element.hidden = choices.some(
        ([name, list]) => list.value && element.dataset[name] !== undefined && element.dataset[name] !== list.value
      );
    }
    const rows = all("#verdicts tbody tr");
    const visible = rows.filter((row) => !row.hidden).length;
    document.getElementById("filter-count").textContent = visible < rows.length ? `${visible} of ${rows.length} claims shown` : "";
  }
  if (choices.every(([, list]) => list)) choices.forEach(([, list]) => list.addEventListener("change", filter));
})();
