/* Keeps the page fresh without losing the place, and lets it follow the page around its frame. */
"use strict";

const parts = ["head", "choice", "body", "other"];
const content = () => document.getElementById("content");
const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** The window of Airflow around the frame; null if there is none, or it is another site's. */
const frame = (() => {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
})();

/* ---- Light and dark, as Airflow ---- */

function followTheme() {
  const root = document.documentElement;
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const outer = frame?.document.documentElement;
    const isDark = outer ? outer.classList.contains("dark") : storedTheme() ?? prefersDark.matches;
    root.classList.toggle("dark", isDark);
    for (const name of ["--bg", "--fg", "--font"]) {
      root.style.removeProperty(name);
    }
    if (frame) {
      const style = frame.getComputedStyle(frame.document.body);
      const background = [frame.document.body, outer]
        .map((element) => frame.getComputedStyle(element).backgroundColor)
        .find((color) => !/^(transparent|rgba\(0, 0, 0, 0\))$/.test(color));
      if (background) {
        root.style.setProperty("--bg", background);
        root.style.setProperty("--fg", style.color);
      }
      root.style.setProperty("--font", style.fontFamily);
    }
  };
  apply();
  prefersDark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  if (frame) {
    new frame.MutationObserver(() => setTimeout(apply)).observe(frame.document.documentElement, {
      attributeFilter: ["class"],
    });
  }
}

function storedTheme() {
  try {
    const theme = localStorage.getItem("theme");
    return theme === "dark" ? true : theme === "light" ? false : null;
  } catch {
    return null;
  }
}

/* ---- Times, in the time zone that Airflow's UI shows: the server writes them in UTC ---- */

const utcTimes = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g;

/** What Airflow's UI keeps; undefined for the time zone of the browser, as there. */
function storedTimeZone() {
  try {
    const timeZone = JSON.parse(localStorage.getItem("timezone")) ?? undefined;
    new Intl.DateTimeFormat("en", { timeZone });
    return timeZone;
  } catch {
    return undefined;
  }
}

function convertTimes(root) {
  const clock = new Intl.DateTimeFormat("en", {
    ...{ year: "numeric", month: "2-digit", day: "2-digit", hourCycle: "h23" },
    ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "longOffset" },
    timeZone: storedTimeZone(),
  });
  const convert = (text) =>
    text.replace(utcTimes, (_, date, time) => {
      const parts = clock.formatToParts(new Date(`${date}T${time}Z`));
      const part = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
      const zone = part.timeZoneName.replace(/^GMT(\+00:00)?$/, "UTC").replace("GMT", "");
      return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second} ${zone}`;
    });
  for (const element of root.querySelectorAll("time[title], .badge[title]")) {
    element.title = convert(element.title);
  }
  for (const title of root.querySelectorAll(".bar title")) {
    title.textContent = convert(title.textContent);
  }
}

/* ---- Reading the content again ---- */

let timer = 0;
let running = null;
let lastLoad = Date.now();
let isFormStale = false; // the content that is on its way has other forms
let isReplacing = false;

function schedule() {
  clearTimeout(timer);
  const pause = Number(content().dataset.poll);
  if (pause > 0) {
    timer = setTimeout(load, Math.max(0, lastLoad + pause - Date.now()));
  }
}

/** Returns whether the new content is shown. */
async function load() {
  clearTimeout(timer);
  if (document.hidden) {
    return false; // visibilitychange comes back here
  }
  running?.abort();
  const request = (running = new AbortController());
  const timeout = setTimeout(() => request.abort(), 30000);
  let problem = "";
  try {
    const response = await fetch(`content${location.search}`, {
      signal: request.signal,
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
    });
    if (response.ok) {
      show(await response.text());
    } else if (response.status === 401 || response.status === 403) {
      problem = "You are signed out, or may not see this any more. Open the page again.";
    } else {
      problem = `Airflow has answered with HTTP ${response.status}. It is asked again.`;
    }
  } catch {
    problem = "Airflow does not answer. It is asked again.";
  } finally {
    clearTimeout(timeout);
  }
  if (running !== request) {
    return false; // a newer one has taken over
  }
  running = null;
  lastLoad = Date.now();
  tell(problem);
  schedule();
  return !problem;
}

function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").getElementById("content");
  if (!fresh) {
    return;
  }
  convertTimes(fresh);
  Object.assign(content().dataset, fresh.dataset);
  const focused = document.activeElement;
  const pointed = describePointed();
  isReplacing = true;
  for (const name of parts) {
    const old = part(content(), name);
    const next = part(fresh, name);
    if (!old || !next || old.outerHTML === next.outerHTML) {
      continue;
    }
    if (old.tagName === "FORM" && old.contains(focused) && !isFormStale) {
      continue; // somebody is typing
    }
    keepQuiet(old, next);
    const key = old.contains(focused) ? describe(focused) : "";
    old.replaceWith(document.importNode(next, true));
    if (key) {
      content().querySelector(key)?.focus({ preventScroll: true });
    }
  }
  isReplacing = false;
  isFormStale = false;
  const bar = pointed && content().querySelector(pointed);
  if (bar) {
    showTooltip(bar);
  } else {
    hideTooltip();
  }
}

/** A selector of the bar that is pointed at; its sync may have moved to the left meanwhile. */
function describePointed() {
  const bar = document.querySelector(".is-pointed");
  return bar ? `${describe(bar.closest(".bars"))} [data-job="${bar.dataset.job}"]` : "";
}

/** Has a screen reader tell an error once, not with each new content. */
function keepQuiet(old, next) {
  const reason = (root) => root.querySelector(".alert > span")?.textContent;
  if (reason(old) && reason(old) === reason(next)) {
    next.querySelector(".alert").removeAttribute("role");
  }
}

/** A selector of what is there again after the content was replaced. */
function describe(element) {
  const quoted = (text) => `"${CSS.escape(text)}"`;
  if (element.name) {
    return `${element.localName}[name=${quoted(element.name)}]`;
  }
  if (element.dataset?.key) {
    return `[data-key=${quoted(element.dataset.key)}]`;
  }
  return element.getAttribute?.("href") ? `a[href=${quoted(element.getAttribute("href"))}]` : "";
}

function tell(problem) {
  let line = document.getElementById("problem");
  if (!problem) {
    line?.remove();
    return;
  }
  if (!line) {
    line = document.createElement("div");
    line.id = "problem";
    line.className = "alert";
    line.setAttribute("role", "alert");
    content().prepend(line);
  }
  line.textContent = problem;
}

/** Shows what a query asks for. The address of the page around the frame keeps it for a reload. */
function go(search) {
  history.replaceState(null, "", search || location.pathname);
  frame?.history.replaceState(frame.history.state, "", frame.location.pathname + search);
  document.getElementById("body")?.setAttribute("aria-busy", "true");
  return load();
}

/* ---- What is shown when the page is opened ---- */

const chosenKey = `airbyte-sme.connection:${location.pathname}`;

/** The Airflow connection that was chosen here the last time; null if the browser keeps nothing. */
function chosenBefore() {
  try {
    return localStorage.getItem(chosenKey);
  } catch {
    return null;
  }
}

function remember(connId) {
  try {
    localStorage.setItem(chosenKey, connId);
  } catch {
    // Then the page opens with the first one.
  }
}

/** Of this page, or of the one around its frame; at once, since Airflow 3.3 replaces its address. */
const asked = location.search || frame?.location.search || "";

/**
 * Shows what was asked for, and else the Airflow connection that was chosen the last time. One that
 * is gone is forgotten. Until then the page is hidden: it may show another one.
 */
async function start() {
  if (document.hidden) {
    document.addEventListener("visibilitychange", start, { once: true });
    return;
  }
  const shown = content().dataset.connId;
  const query = new URLSearchParams(asked);
  const before = query.get("conn_id") ? null : chosenBefore();
  if (before && before !== shown) {
    query.set("conn_id", before);
  }
  // A page that only says why there is no other shows no Airflow connection.
  if (shown === undefined || `${query}` === `${new URLSearchParams(location.search)}`) {
    schedule();
  } else if ((await go(`?${query}`)) && before && content().dataset.connId !== before) {
    remember("");
    query.delete("conn_id");
    await go(query.size ? `?${query}` : "");
  }
  document.documentElement.classList.remove("is-starting");
}

/* ---- Filters ---- */

let typing = 0;

function submit(form) {
  const values = new URLSearchParams();
  for (const [name, value] of new FormData(form)) {
    if (value) {
      values.append(name, value);
    }
  }
  go(values.size ? `?${values}` : "");
}

function listenToFilters() {
  document.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.target);
    if (event.target.dataset.part === "other") {
      remember(event.target.elements.conn_id.value);
      event.target.reset();
    }
  });
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (form && event.target.name === "conn_id") {
      // The other filters belong to another Airbyte. The focus stays, for the arrow keys.
      isFormStale = true;
      remember(event.target.value);
      go(`?${new URLSearchParams({ conn_id: event.target.value })}`);
    } else if (form && event.target.tagName === "SELECT") {
      submit(form);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.type === "search") {
      clearTimeout(typing);
      typing = setTimeout(() => submit(event.target.form), 250);
    }
  });
}

/* ---- Links ---- */

/**
 * Airflow's frame is sandboxed: it may neither open a window nor leave its own. The page around it
 * may, so a link outside is followed there.
 */
function follow(link, inNewWindow) {
  const outside = frame.document.createElement("a");
  outside.href = link.href;
  outside.target = inNewWindow ? "_blank" : "_self";
  outside.rel = "noopener noreferrer";
  frame.document.body.append(outside);
  outside.click();
  outside.remove();
}

function listenToLinks() {
  const onClick = (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button > 1) {
      return;
    }
    const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey);
    if (isPlain && "stay" in link.dataset) {
      event.preventDefault();
      isFormStale = true;
      go(new URL(link.href).search);
      if (link.rel) {
        document.querySelector(".tiles")?.scrollIntoView(); // another page begins at its top
      }
    } else if (frame && (link.target || !isPlain)) {
      event.preventDefault();
      follow(link, link.target === "_blank" || !isPlain);
    }
  };
  document.addEventListener("click", onClick);
  document.addEventListener("auxclick", onClick);
}

/* ---- Tooltips of the bars: at once, where those of the browser take a second ---- */

let tooltip = null;

function hideTooltip() {
  if (tooltip) {
    tooltip.hidden = true;
    document.querySelector(".is-pointed")?.classList.remove("is-pointed");
  }
}

function showTooltip(bar) {
  document.querySelector(".is-pointed")?.classList.remove("is-pointed");
  const title = bar.querySelector("title");
  if (title) {
    bar.dataset.text = title.textContent;
    title.remove(); // the browser would show a second one
  }
  const text = bar.dataset.text.replaceAll(" · ", "\n");
  if (tooltip.hidden || tooltip.textContent !== text) {
    tooltip.hidden = false;
    tooltip.textContent = text; // a screen reader reads it now
  }
  bar.classList.add("is-pointed");
  const box = bar.getBoundingClientRect();
  const left = Math.min(box.left, window.innerWidth - tooltip.offsetWidth - 8);
  const top = box.top - tooltip.offsetHeight - 8;
  tooltip.style.left = `${Math.max(8, left)}px`;
  tooltip.style.top = `${top < 8 ? box.bottom + 8 : top}px`;
}

/** The bar of a chart to which a key leads from the one that is pointed at; null for other keys. */
function barAt(chart, key) {
  const bars = [...chart.querySelectorAll(".bar")];
  const now = bars.findIndex((bar) => bar.classList.contains("is-pointed"));
  const last = bars.length - 1;
  const targets = {
    ArrowLeft: now < 0 ? last : Math.max(0, now - 1),
    ArrowRight: now < 0 ? last : Math.min(last, now + 1),
    Home: 0,
    End: last,
  };
  return bars[targets[key]] ?? null;
}

function listenToBars() {
  document.addEventListener("pointerover", (event) => {
    const bar = event.target.closest?.(".bar");
    if (bar) {
      showTooltip(bar);
    } else {
      hideTooltip();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      hideTooltip();
    }
    const chart = event.target.closest?.(".bars");
    const bar = chart && barAt(chart, event.key);
    if (bar) {
      event.preventDefault();
      showTooltip(bar);
    }
  });
  document.addEventListener("focusout", () => isReplacing || hideTooltip());
  window.addEventListener("scroll", hideTooltip, { passive: true });
}

// Before anything is shown.
document.documentElement.classList.add("is-starting");
followTheme();
document.addEventListener("DOMContentLoaded", () => {
  tooltip = document.getElementById("tooltip");
  convertTimes(content());
  listenToFilters();
  listenToLinks();
  if (tooltip) {
    listenToBars();
  }
  document.addEventListener("visibilitychange", schedule);
  start();
});
