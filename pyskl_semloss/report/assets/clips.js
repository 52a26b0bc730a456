"use strict";
{
  const { data, make, byId } = app;
  const clips = data.clips;
  const total = clips.ids.length;
  const name = (n) => (n < 0 ? "unknown" : data.classes[n].name);
  const guess = (n) => clips.top[n * clips.k];
  const sure = (n) => clips.prob[n * clips.k];
  const place = (n) => clips.top.slice(n * clips.k, (n + 1) * clips.k).indexOf(clips.label[n]);
  const percent = (value) => `${(value / 100).toFixed(1)} %`;
  const field = (id) => byId(`f-${id}`);
  const [list, spacer] = [byId("list"), byId("spacer")];
  const HEIGHT = 48;
  let shown = [];
  let chosen = 0;

  const parts = clips.parts.length > 1;
  for (const id of ["parts-label", "split-label"]) field(id).hidden = !parts;
  if (!parts) for (const option of field("order").querySelectorAll("[value=split]")) option.remove();

  const used = (values) => [...new Set(values)].filter((n) => n >= 0).sort((a, b) => a - b);
  const options = (select, classes) => {
    select.append(new Option("any", ""));
    for (const n of classes) select.append(new Option(name(n), String(n)));
  };
  options(field("true"), used(clips.label));
  options(field("guess"), used(clips.ids.map((_, n) => guess(n))));

  const outcomes = {
    "": () => true,
    right: (n) => place(n) === 0,
    wrong: (n) => clips.label[n] >= 0 && place(n) !== 0,
    near: (n) => place(n) > 0 && place(n) < 5,
    far: (n) => clips.label[n] >= 0 && place(n) < 0,
  };
  const differ = (n) => clips.parts.some((part) => part.best[n] !== clips.parts[0].best[n]);
  const orders = {
    file: null,
    sure: (n) => -sure(n),
    unsure: sure,
    split: (n) => -clips.split[n],
    missed: (n) => (outcomes.wrong(n) ? -sure(n) : 1),
  };
  const words = data.classes.map((one) => one.name.toLowerCase());

  const number = (id, otherwise) => {
    const value = field(id).value.trim() === "" ? NaN : Number(field(id).value);
    return Number.isFinite(value) ? value * 100 : otherwise;
  };
  const filter = () => {
    const wanted = field("search").value.trim().toLowerCase();
    const [truth, predicted] = [field("true").value, field("guess").value];
    const outcome = outcomes[field("outcome").value];
    const together = field("parts").value;
    const [low, high, split] = [number("low", 0), number("high", 10000), number("split", 0)];
    shown = [];
    for (let n = 0; n < total; n += 1) {
      if (truth !== "" && clips.label[n] !== Number(truth)) continue;
      if (predicted !== "" && guess(n) !== Number(predicted)) continue;
      if (sure(n) < low || sure(n) > high || clips.split[n] < split || !outcome(n)) continue;
      if (together && differ(n) !== (together === "differ")) continue;
      if (wanted && !clips.ids[n].toLowerCase().includes(wanted) && !(words[clips.label[n]] || "").includes(wanted)) continue;
      shown.push(n);
    }
    const key = orders[field("order").value];
    if (key) shown.sort((a, b) => key(a) - key(b) || a - b);
    rows.forEach((node) => node.remove());
    rows.clear();
    spacer.style.height = `${shown.length * HEIGHT}px`;
    list.scrollTop = 0;
    const count = byId("count");
    count.replaceChildren(make("b", { text: app.whole(shown.length) }), ` of ${app.whole(total)} clips`);
    choose(0);
  };

  const row = (at) => {
    const n = shown[at];
    const known = clips.label[n] >= 0;
    const fine = place(n) === 0;
    const below = make("span", { class: "below" },
      make("span", { text: known && !fine ? `taken for ${name(guess(n))}` : known ? clips.ids[n] : name(guess(n)) }),
      make("span", { text: percent(sure(n)) }));
    const node = make("div", { class: `row ${known ? (fine ? "right" : "wrong") : ""}` },
      make("span", { class: "name", text: known ? name(clips.label[n]) : clips.ids[n] }), below);
    node.dataset.mark = known ? (fine ? "✓" : "✗") : "·";
    node.id = `row-${at}`;
    node.title = clips.ids[n];
    node.style.top = `${at * HEIGHT}px`;
    node.setAttribute("role", "option");
    node.setAttribute("aria-setsize", shown.length);
    node.setAttribute("aria-posinset", at + 1);
    node.addEventListener("click", () => choose(at));
    return node;
  };
  // Only the rows in view exist, with a few on either side. A row that stays in view stays the same element: one that
  // is replaced between the press and the release of a button would never be clicked.
  const rows = new Map();
  const paint = () => {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 4);
    const end = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + 4);
    for (const [at, node] of rows) {
      if (at >= first && at < end) continue;
      node.remove();
      rows.delete(at);
    }
    for (let at = first; at < end; at += 1) {
      if (!rows.has(at)) rows.set(at, list.appendChild(row(at)));
      rows.get(at).setAttribute("aria-selected", at === chosen);
    }
    if (shown.length) list.setAttribute("aria-activedescendant", `row-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  };

  const bar = (value, role, kind) => {
    const inner = make("b", { role });
    inner.style.width = `${Math.max(0, Math.min(100, value / 100))}%`;
    return make("i", { class: kind || "" }, inner);
  };
  const guessed = (n, which, value, at) => {
    const bars = make("div", { class: "bars" }, bar(value, data.final.role));
    clips.parts.forEach((part, number) => bars.append(bar(at(part), data.parts[number].role, "part")));
    const label = make("div", { class: "label" }, make("span", { text: name(which), title: name(which) }), make("span", { text: percent(value) }));
    return make("div", { class: `guess ${which === clips.label[n] ? "true" : ""}` }, label, bars);
  };
  const verdict = (n) => {
    const box = byId("verdict");
    if (n === undefined) {
      box.replaceChildren(make("p", { class: "note", text: "No clip passes the filters." }));
      return;
    }
    const [known, fine] = [clips.label[n] >= 0, place(n) === 0];
    const said = make("p", { class: "said" });
    if (!known) said.append("The true class is not known.");
    else if (fine) said.append(make("b", { class: "right-text", text: "✓ recognised" }));
    else said.append(make("b", { class: "wrong-text", text: "✗ taken for " }), name(guess(n)));
    const nodes = [make("h3", { text: known ? name(clips.label[n]) : "Unknown class" }), make("p", { class: "id", text: clips.ids[n] }), said];
    for (let k = 0; k < clips.k; k += 1) {
      const at = n * clips.k + k;
      nodes.push(guessed(n, clips.top[at], clips.prob[at], (part) => part.at[at]));
    }
    if (known && place(n) < 0) {
      nodes.push(make("p", { class: "note", text: `Not among the first ${clips.k}: the true class` }));
      nodes.push(guessed(n, clips.label[n], clips.truth[n], (part) => part.truth[n]));
    }
    if (parts) {
      const legend = make("p", { class: "legend" });
      for (const one of [data.final, ...data.parts]) legend.append(make("span", {}, app.swatch(one.role), one.name));
      const says = make("dl");
      clips.parts.forEach((part, number) => says.append(
        make("dt", { text: data.parts[number].name }), make("dd", { text: name(part.best[n]), title: name(part.best[n]) }),
        make("dd", { class: "value", text: percent(part.prob[n]) })));
      says.append(make("dt", { text: "disagreement" }), make("dd", { text: differ(n) ? "classes differ" : "same class" }),
        make("dd", { class: "value", text: percent(clips.split[n]) }));
      nodes.push(legend, says);
    }
    box.replaceChildren(...nodes);
  };
  const choose = (at) => {
    chosen = Math.max(0, Math.min(shown.length - 1, at));
    const n = shown[chosen];
    const top = chosen * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    paint();
    verdict(n);
    const reason = data.skeleton.limbs.length ? "The keypoints of this clip are not at hand." : "The report was made without keypoints (--ann-file).";
    const was = app.player.state.playing;
    app.player.open(n === undefined ? null : clips.index[n], n === undefined ? "" : reason);
    if (was && app.player.state.frames) app.player.play();
  };

  app.clips = {
    filter,
    pick(truth, predicted) {
      byId("filters").reset();
      field("true").value = String(truth);
      field("guess").value = String(predicted);
      filter();
      byId("clips").scrollIntoView();
      list.focus({ preventScroll: true });
    },
    get state() { return { shown: shown.map((n) => clips.ids[n]), chosen: shown.length ? clips.ids[shown[chosen]] : null }; },
  };
  byId("filters").addEventListener("input", filter);
  byId("filters").addEventListener("reset", () => setTimeout(filter));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  let waiting = false;
  list.addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(() => { waiting = false; paint(); });
    waiting = true;
  });
  new ResizeObserver(paint).observe(list);

  // Keys act where the clips are in view or in focus, and never on what a control does with them itself.
  const keys = {
    " ": () => app.player.toggle(), ArrowLeft: () => app.player.step(-1), ArrowRight: () => app.player.step(1),
    ArrowUp: () => choose(chosen - 1), ArrowDown: () => choose(chosen + 1),
    PageUp: () => choose(chosen - 10), PageDown: () => choose(chosen + 10),
    Home: () => choose(0), End: () => choose(shown.length - 1),
    "[": () => app.player.speed(-1), "]": () => app.player.speed(1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = event.target;
    if (event.key === "Escape" && target === field("search")) list.focus();
    if (target.closest("input, select, textarea")) return;
    if (event.key === "/") {
      event.preventDefault();
      field("search").focus();
      field("search").select();
      return;
    }
    if (event.key === "t") return app.nextTheme();
    if (target.closest("button, a") && event.key === " ") return;
    const box = byId("browser").getBoundingClientRect();
    const inside = byId("clips").contains(target);
    const seen = target === document.body && box.top < innerHeight * 0.6 && box.bottom > innerHeight * 0.3;
    if (keys[event.key] && (inside || seen)) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  byId("precision").textContent = data.precision;
  filter();
}
