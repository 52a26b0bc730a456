"use strict";
{
  const { data, byId, color } = app;
  const TONES = new Set(["joint", "limb", "fusion", "baseline", "part3", "part4", "part5", "part6", "ink", "muted", "faint", "paper", "line"]);
  const CONFIG = { displayModeBar: false, responsive: false, scrollZoom: false, doubleClick: "reset" };
  const narrow = () => document.documentElement.clientWidth < 720;

  // A figure's colours are names: here they become those of the theme. Text is left alone.
  const themed = (value, key) => {
    if (Array.isArray(value)) return value.map((one) => themed(one, key));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, themed(one, name)]));
    }
    return key === "color" && TONES.has(value) ? color(value) : value;
  };
  const axis = (own) => ({
    gridcolor: color("line"), zeroline: false, linecolor: color("faint"), ticks: "", automargin: true, ...own,
    title: { standoff: 12, ...own.title, font: { size: 13, color: color("muted") } },
    tickfont: { size: 12, color: color("muted") },
  });
  const layout = (own, width, height) => {
    const made = {
      width, height, margin: { l: 52, r: 12, t: 22, b: 44 },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", dragmode: "zoom",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("ink") },
      legend: { orientation: "h", x: 0, y: -0.2, yanchor: "top", font: { size: 12, color: color("muted") } },
      hoverlabel: { bgcolor: color("paper"), bordercolor: color("faint"), font: { size: 13, color: color("ink") }, align: "left" },
      ...own,
    };
    for (const name of Object.keys(made)) if (/^[xy]axis\d*$/.test(name)) made[name] = axis(made[name]);
    return made;
  };
  const size = (box) => [Math.floor(box.clientWidth), parseFloat(getComputedStyle(box).minHeight) || 380];

  const drawFigure = (box) => {
    const figure = themed(data.figures[box.dataset.figure]);
    const [width, height] = size(box);
    if (box.dataset.figure === "map" && narrow()) figure.data[0].mode = "markers";
    return Plotly.react(box, figure.data, layout(figure.layout, width, height), CONFIG);
  };

  const matrix = byId("matrix");
  const classes = data.classes;
  const escaped = (text, length) => {
    const short = text.length > length ? `${text.slice(0, length - 1).trimEnd()}…` : text;
    return short.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  };
  const orders = {
    index: () => 0,
    name: (a, b) => classes[a].name.localeCompare(classes[b].name),
    size: (a, b) => classes[b].test - classes[a].test,
    recall: (a, b) => (classes[b].recall ?? -1) - (classes[a].recall ?? -1),
  };
  const arranged = () => {
    const compare = orders[byId("matrix-order").value];
    return classes.map((_, n) => n).sort((a, b) => compare(a, b) || a - b);
  };
  let order = arranged();
  const drawMatrix = (keepZoom) => {
    order = arranged();
    const [width, least] = size(matrix);
    const height = Math.max(least * (classes.length < 16 ? 0.75 : 1), Math.min(1400, classes.length * (narrow() ? 11 : 17) + 120));
    const share = byId("matrix-unit").value === "share";
    const totals = data.matrix.map((row) => row.reduce((sum, count) => sum + count, 0));
    const z = order.map((t) => order.map((p) => (share ? (totals[t] ? (100 * data.matrix[t][p]) / totals[t] : null) : data.matrix[t][p])));
    const text = order.map((t) => order.map((p) => (data.matrix[t][p] ? String(data.matrix[t][p]) : "")));
    const hover = order.map((t) => order.map((p) =>
      `<b>${escaped(classes[t].name, 60)}</b><br>taken for ${escaped(classes[p].name, 60)}<br>` +
      `${data.matrix[t][p]} of ${totals[t]} clips`));
    const tones = [0, 1, 2, 3].map((n) => color(`heat${n}`));
    const labels = order.map((n) => escaped(classes[n].name, narrow() ? 12 : 34));
    const places = order.map((_, n) => n);
    // Labels that would run into one another are thinned; the hover text has them all.
    const every = Math.ceil(classes.length / Math.max(1, (height - 120) / 12));
    const ticks = places.filter((n) => n % every === 0);
    const trace = {
      type: "heatmap", z, text, customdata: hover, hovertemplate: "%{customdata}<extra></extra>", xgap: 1, ygap: 1,
      colorscale: [[0, tones[0]], [0.06, tones[1]], [0.35, tones[2]], [1, tones[3]]], zmin: 0,
      ...(share ? { zmax: 100 } : {}),
      ...(classes.length <= 36 && !narrow() ? { texttemplate: "%{text}", textfont: { size: 10 } } : {}),
      colorbar: { thickness: 8, len: 0.5, y: 1, yanchor: "top", ypad: 0, outlinewidth: 0, tickfont: { size: 12, color: color("muted") }, ticksuffix: share ? " %" : "" },
      showscale: !narrow(),
    };
    const before = keepZoom && matrix.layout ? [matrix.layout.xaxis.range, matrix.layout.yaxis.range] : null;
    const whole = [-0.5, classes.length - 0.5];
    const [xrange, yrange] = before || [whole, [...whole].reverse()];
    const own = {
      margin: { l: 20, r: 8, t: 8, b: 20 },
      xaxis: { tickvals: ticks, ticktext: ticks.map((n) => labels[n]), tickangle: -60, range: xrange, showgrid: false,
        title: { text: "predicted" } },
      yaxis: { tickvals: ticks, ticktext: ticks.map((n) => labels[n]), range: yrange, showgrid: false, title: { text: "true" } },
    };
    const made = layout(own, width, height);
    for (const name of ["xaxis", "yaxis"]) made[name].tickfont.size = classes.length > 24 ? 10.5 : 12;
    return Plotly.react(matrix, [trace], made, CONFIG);
  };
  const zoom = (factor) => {
    const whole = [-0.5, classes.length - 0.5];
    const next = {};
    for (const [name, full] of [["xaxis", whole], ["yaxis", [...whole].reverse()]]) {
      const [from, to] = matrix.layout[name].range;
      const [middle, half] = [(from + to) / 2, ((to - from) / 2) * factor];
      const wide = Math.abs(half) * 2 >= classes.length;
      next[`${name}.range`] = factor === Infinity || wide ? full : [middle - half, middle + half];
    }
    Plotly.relayout(matrix, next);
  };
  app.matrix = { get order() { return order; } };
  byId("matrix-order").addEventListener("change", () => drawMatrix(false));
  byId("matrix-unit").addEventListener("change", () => drawMatrix(true));
  byId("zoom-in").addEventListener("click", () => zoom(0.6));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 0.6));
  byId("zoom-all").addEventListener("click", () => zoom(Infinity));

  // A chart is drawn when it comes near the window: the page opens without waiting for all of them.
  const drawn = new Set();
  const draw = (box) => {
    drawn.add(box);
    const again = Boolean(box.data);
    const done = box === matrix ? drawMatrix(again) : drawFigure(box);
    if (box === matrix && !again) {
      matrix.on("plotly_click", ({ points }) => app.clips.pick(order[points[0].y], order[points[0].x]));
    }
    return done;
  };
  const boxes = [...document.querySelectorAll("[data-figure]"), matrix].filter((box) => !box.closest("[hidden]"));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting && !drawn.has(entry.target)) draw(entry.target);
  }, { rootMargin: "400px" });
  boxes.forEach((box) => watcher.observe(box));
  app.onTheme(() => drawn.forEach(draw));
  let wide = document.documentElement.clientWidth;
  let later = 0;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth === wide) return;
    wide = document.documentElement.clientWidth;
    clearTimeout(later);
    later = setTimeout(() => drawn.forEach(draw), 120);
  });
  // On paper every chart is there, in the paper's width: 182 mm at 96 px to the inch.
  addEventListener("beforeprint", () => {
    for (const box of boxes) {
      draw(box);
      const pair = box.closest(".pair") && !document.querySelector(".pair figure[hidden]");
      Plotly.relayout(box, { width: pair ? 336 : 684, height: box === matrix ? 640 : box.classList.contains("wide") ? 440 : pair ? 380 : 300 });
    }
  });
  addEventListener("afterprint", () => drawn.forEach(draw));
  app.ready = true;
  performance.mark("report-ready");
}
