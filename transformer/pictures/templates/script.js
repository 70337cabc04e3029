"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Figures take the colours of the page, and are drawn when they come near the window.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    return {text: of("--text"), muted: of("--muted"), line: of("--line"), card: of("--card")};
  };
  const themed = (layout) => {
    const {text, muted, line, card} = colours();
    const axis = (own = {}) => ({
      gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line,
      tickfont: {color: muted}, automargin: true, fixedrange: touch, ...own,
      title: {font: {color: muted, size: 12}, standoff: 8, ...own.title},
    });
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: {family: getComputedStyle(document.body).fontFamily, size: 12, color: text},
      margin: {t: 12, r: 22, b: layout.showlegend ? 76 : 44, l: 48},
      bargap: 0.25,
      dragmode: touch ? false : "zoom",
      hoverlabel: {bgcolor: card, bordercolor: line, font: {color: text}},
      ...layout,
      legend: {
        orientation: "h", x: 0, xanchor: "left", xref: "container",
        y: 0, yanchor: "bottom", yref: "container",
        font: {color: muted}, ...layout.legend,
      },
      xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    };
  };
  const figures = new Map();
  const draw = (box) => {
    if (figures.has(box)) return figures.get(box);
    const {data, layout} = JSON.parse(box.querySelector("script").textContent);
    const options = {responsive: true, displayModeBar: false};
    const drawn = Plotly.newPlot(box, data, themed(layout), options);
    box.redraw = () => Plotly.react(box, data, themed(layout), options);
    figures.set(box, drawn);
    return drawn;
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const {isIntersecting, target} of entries) {
      if (isIntersecting) { watcher.unobserve(target); draw(target); }
    }
  }, {rootMargin: "600px"});
  all(".figure").forEach((box) => watcher.observe(box));
  dark.addEventListener("change", () => figures.forEach((_, box) => box.redraw()));
  addEventListener("beforeprint", () => all(".figure").forEach(draw));

  // Tables: a click on a head sorts by that column, a second one the other way round.
  const number = (cell) => {
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim().replaceAll(",", "").replace("\u2212", "-");
    const found = text.match(/^[<>+]?\s*(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/i);
    return found ? Number(found[1]) : NaN;
  };
  const collator = new Intl.Collator(undefined, {numeric: true, sensitivity: "base"});
  const sort = (table, column, ascending) => {
    const body = table.tBodies[0];
    const filled = (row) => row.cells[column].textContent.trim() !== "";
    const rows = [...body.rows], given = rows.filter(filled), empty = rows.filter((row) => !filled(row));
    const numeric = given.every((row) => !Number.isNaN(number(row.cells[column])));
    const order = numeric
      ? (a, b) => number(a.cells[column]) - number(b.cells[column])
      : (a, b) => collator.compare(a.cells[column].textContent, b.cells[column].textContent);
    given.sort((a, b) => (ascending ? order(a, b) : order(b, a)));
    body.append(...given, ...empty);
  };
  all("table.sortable").forEach((table) => {
    const heads = all("thead th", table);
    heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending);
    }));
  });
  all("input.search").forEach((input) => input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    all("tbody tr", input.parentElement).forEach((row) => {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    });
  }));

  // What is to be taken along goes to the clipboard.
  const copied = async (text, from) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(from);
      document.execCommand("copy");
    }
  };
  all("button.copy").forEach((button) => button.addEventListener("click", async () => {
    const from = button.previousElementSibling;
    await copied(from.textContent, from);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  }));

  // The navigation shows where the reader is.
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const bar = document.querySelector("nav div");
  const here = () => {
    const above = all("main > section").filter((each) => each.getBoundingClientRect().top < 120);
    const current = links.get(above.at(-1)?.id);
    links.forEach((link) => link.classList.toggle("here", link === current));
    if (current && bar.scrollWidth > bar.clientWidth) {
      bar.scrollTo({left: current.offsetLeft - bar.clientWidth / 2 + current.offsetWidth / 2});
    }
  };
  let due = false;
  addEventListener("scroll", () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => { due = false; here(); });
  }, {passive: true});
  here();
})();
