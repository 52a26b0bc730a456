"use strict";
{
  const { data, make, byId, fixed, signed } = app;
  const head = (table, titles, text = 1) => {
    const cells = titles.map((title, n) => make("th", { text: title, class: n < text ? "text" : "" }));
    cells.forEach((cell) => (cell.scope = "col"));
    table.append(make("thead", {}, make("tr", {}, ...cells)));
    return cells;
  };
  const named = (row) => make("td", { class: "text model" }, app.swatch(row.role), row.name);

  byId("title").textContent = data.title;
  const final = data.headline.rows.find((row) => row.role === data.final.role && row.name === data.final.name);
  const top1 = final.cells[data.headline.keys.indexOf("top1")];
  const lead = byId("lead");
  if (top1) {
    lead.append(data.final.role === "fusion" ? "The fusion recognises " : `The model “${data.final.name}” recognises `);
    lead.append(make("b", { text: `${fixed(top1.value)} %` }));
    lead.append(` of ${app.whole(data.labelled)} clips of ${data.classes.length} classes`);
    lead.append(`; 95 % interval ${fixed(top1.low)} to ${fixed(top1.high)} %.`);
    const baseline = data.headline.rows.find((row) => row.role === "baseline");
    if (baseline) lead.append(` The baseline recognises ${fixed(baseline.cells[data.headline.keys.indexOf("top1")].value)} %.`);
  } else {
    lead.append(`${app.whole(data.clips.ids.length)} clips, of which none has a known label: there are no accuracies.`);
  }

  const headline = byId("headline");
  if (data.headline.keys.length) {
    head(headline, ["", ...data.headline.columns.map((title) => `${title}, %`)]);
    const body = make("tbody");
    for (const row of data.headline.rows) {
      const first = named(row);
      if (row.weight !== null && data.headline.rows.length > 1) {
        const temperature = row.temperature === null ? "" : `, temperature ${fixed(row.temperature, 2)}`;
        first.append(make("small", { text: `weight ${fixed(row.weight, 2)}${temperature}` }));
      }
      const cells = row.cells.map((cell) => {
        const node = make("td", { text: fixed(cell.value) });
        if (cell.low !== null) node.append(make("small", { text: `${fixed(cell.low)} – ${fixed(cell.high)}` }));
        return node;
      });
      body.append(make("tr", { class: row === final ? "final" : "" }, first, ...cells));
    }
    headline.append(body);
    byId("headline-note").textContent =
      `Small figures: 95 % bootstrap intervals, Wilson's where all or no clips are right. ${data.resampling} ` +
      "ECE: expected calibration error, lower is better." +
      (data.headline.keys.includes("nearest_name_top1")
        ? " Nearest name: the predicted embedding is nearest to the true class's vector." : "");
  }

  if (data.comparison.length) {
    byId("comparison-block").hidden = false;
    byId("comparison-title").textContent =
      data.final.role === "fusion" ? "The fusion against the others" : `${data.final.name} against the baseline`;
    const table = byId("comparison");
    head(table, ["against", "Top-1", "Mean class", "clips gained", "clips lost", "McNemar p"]);
    const body = make("tbody");
    for (const row of data.comparison) {
      const cells = ["top1", "mean_class"].map((key) => {
        const [value, low, high] = row[key];
        const span = low === null ? (row.gained + row.lost ? "too few clips" : "no clip differs") : `${signed(low)} to ${signed(high)}`;
        return make("td", { text: signed(value) }, make("small", { text: span }));
      });
      const p = row.p < 0.001 ? "< 0.001" : row.p.toFixed(3);
      const counts = [row.gained, row.lost].map((count) => make("td", { text: app.whole(count) }));
      body.append(make("tr", {}, named(row), ...cells, ...counts, make("td", { text: p })));
    }
    table.append(body);
  }
  for (const note of data.notes) byId("notes").append(make("li", { text: note }));
  byId("footer").textContent = data.footer;

  const found = data.nearness;
  byId("nearness").textContent = found
    ? `In ${app.whole(found.mistakes)} mistakes the predicted name is on average number ${fixed(found.mean_rank)} of the ` +
      `${found.classes - 1} wrong names by nearness to the true one. From 0, the farthest, to 1, the nearest, that is ` +
      `${found.nearness.toFixed(2)}; how often each class is predicted would alone give ${found.expected.toFixed(2)}. ` +
      `Names dealt out at random come as far with p ${found.p_value < 0.001 ? "< 0.001" : "= " + found.p_value.toFixed(3)}.`
    : "";
  const map = data.figures.map;
  if (map) {
    byId("map-caption").textContent =
      `Map of the label vectors; the plane holds ${map.layout.meta.kept} % of their differences. ` +
      "Lines join the classes confused most often.";
  }

  // The worst confusion of each class, for the table.
  const worst = data.matrix.map((row, n) => {
    let most = -1;
    row.forEach((count, other) => {
      if (other !== n && count > 0 && (most < 0 || count > row[most])) most = other;
    });
    return most;
  });
  const training = data.classes.some((one) => one.train !== null);
  const names = data.neighbours.length > 0;
  const columns = [
    ["Class", (n) => data.classes[n].name, "text"],
    ...(training ? [["Training clips", (n) => data.classes[n].train]] : []),
    ["Test clips", (n) => data.classes[n].test],
    ["Recall, %", (n) => data.classes[n].recall, "", "metered"],
    ["Precision, %", (n) => data.classes[n].precision],
    ["Most often taken for", (n) => (worst[n] < 0 ? null : data.matrix[n][worst[n]]), "text"],
    ...(names ? [["Nearest names", (n) => data.neighbours[n][0][1], "text", "names"]] : []),
  ];
  const table = byId("class-table");
  const cells = head(table, columns.map(([title]) => title), 0);
  const body = make("tbody");
  table.append(body);
  const fill = {
    "Recall, %": (n, cell) => {
      cell.textContent = fixed(data.classes[n].recall);
      const bar = make("i");
      bar.style.width = `${data.classes[n].recall || 0}%`;
      cell.append(make("span", { class: "meter" }, bar));
    },
    "Precision, %": (n, cell) => (cell.textContent = fixed(data.classes[n].precision)),
    "Most often taken for": (n, cell) => {
      if (worst[n] >= 0) cell.textContent = `${data.classes[worst[n]].name} (${data.matrix[n][worst[n]]})`;
    },
    "Nearest names": (n, cell) => {
      cell.textContent = data.neighbours[n].map(([one, cosine]) => `${data.classes[one].name} ${cosine.toFixed(2)}`).join(" · ");
    },
  };
  const rows = data.classes.map((_, n) => {
    const row = make("tr");
    for (const [title, value, kind, look] of columns) {
      const cell = make("td", { class: `${kind || ""} ${look || ""}` });
      if (fill[title]) fill[title](n, cell);
      else cell.textContent = kind ? value(n) : app.whole(value(n));
      row.append(cell);
    }
    return row;
  });
  body.append(...rows);
  cells.forEach((cell, column) => {
    const [title, value, kind] = columns[column];
    if (kind) cell.className = "text";
    const button = make("button", { text: title });
    button.type = "button";
    cell.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = cell.getAttribute("aria-sort") !== "descending" && column > 0 ? -1 : 1;
      const up = cell.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      const way = column > 0 ? down : up;
      const order = data.classes.map((_, n) => n).sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return way * (typeof x === "string" ? x.localeCompare(y) : x - y) || a - b;
      });
      cells.forEach((one) => one.removeAttribute("aria-sort"));
      cell.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      body.replaceChildren(...order.map((n) => rows[n]));
    });
  });
}
