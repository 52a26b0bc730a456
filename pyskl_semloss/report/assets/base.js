"use strict";
const app = {};
{
  app.data = JSON.parse(document.getElementById("data").textContent);
  app.byId = (id) => document.getElementById(id);

  // Text of the data reaches the page through here alone, and as text.
  app.make = (tag, options = {}, ...children) => {
    const node = document.createElement(tag);
    if (options.class) node.className = options.class;
    if (options.text !== undefined) node.textContent = options.text;
    if (options.title) node.title = options.title;
    if (options.role) node.style.setProperty("--role", `var(--${options.role})`);
    node.append(...children);
    return node;
  };
  app.swatch = (role) => app.make("span", { class: "swatch", role });
  app.whole = (number) => number.toLocaleString("en");
  app.fixed = (number, digits = 1) => (number === null ? "–" : number.toFixed(digits));
  app.signed = (number) => (number === null ? "–" : (number > 0 ? "+" : number < 0 ? "−" : "") + Math.abs(number).toFixed(1));

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const listeners = [];
  let printing = false;
  app.onTheme = (listener) => listeners.push(listener);
  app.color = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const shade = () => {
    const wanted = root.dataset.theme === "auto" ? (dark.matches ? "dark" : "light") : root.dataset.theme;
    const next = printing ? "light" : wanted;
    app.byId("theme").textContent = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" }[root.dataset.theme];
    if (root.dataset.shade === next) return;
    root.dataset.shade = next;
    listeners.forEach((listener) => listener());
  };
  app.nextTheme = () => {
    const order = dark.matches ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
    root.dataset.theme = order[(order.indexOf(root.dataset.theme) + 1) % 3];
    try {
      localStorage.setItem("report-theme", root.dataset.theme);
    } catch {
      // A browser may refuse storage to files; the choice then holds until the page is closed.
    }
    shade();
  };
  try {
    const kept = localStorage.getItem("report-theme");
    if (["auto", "light", "dark"].includes(kept)) root.dataset.theme = kept;
  } catch {
    // as above
  }
  shade();
  dark.addEventListener("change", shade);
  app.byId("theme").addEventListener("click", app.nextTheme);
  addEventListener("beforeprint", () => { printing = true; shade(); });
  addEventListener("afterprint", () => { printing = false; shade(); });

  for (const holder of document.querySelectorAll("[data-figures]")) {
    holder.hidden = !holder.dataset.figures.split(" ").some((name) => app.data.figures[name]);
  }
  for (const chart of document.querySelectorAll("[data-figure]")) {
    if (!app.data.figures[chart.dataset.figure]) (chart.closest("figure") || chart).hidden = true;
  }
  const links = new Map();
  for (const section of document.querySelectorAll("section[data-nav]")) {
    if (section.hidden) continue;
    const link = app.make("a", { text: section.dataset.nav });
    link.href = `#${section.id}`;
    app.byId("nav").append(link);
    links.set(section, link);
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(entry.target).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-25% 0px -70% 0px" });
  links.forEach((_, section) => watcher.observe(section));
}
