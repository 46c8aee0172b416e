// The policy editor: live search, unsaved changes, seconds beside a typed duration. The form is whole without it.
const form = document.querySelector("form[data-policy]");

const UNITS = {
  s: 1, sec: 1, secs: 1, second: 1, seconds: 1,
  m: 60, min: 60, mins: 60, minute: 60, minutes: 60,
  h: 3600, hr: 3600, hrs: 3600, hour: 3600, hours: 3600,
  d: 86400, day: 86400, days: 86400,
  w: 604800, week: 604800, weeks: 604800,
};

// Only an echo of what was typed; the server decides.
function seconds(text) {
  const typed = text.trim().toLowerCase();
  if (typed === "never" || typed === "-1") return "never";
  if (/^\d+$/.test(typed)) return Number(typed);
  let total = 0;
  const rest = typed.replace(/(\d+(?:\.\d+)?)\s*([a-z]+)[\s,]*/g, (whole, number, unit) => {
    if (!(unit in UNITS)) return whole;
    total += Number(number) * UNITS[unit];
    return "";
  });
  return rest === "" && total > 0 ? Math.round(total) : null;
}

const grouped = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, "\u202f");

function watchDurations() {
  for (const row of form.querySelectorAll("[data-duration]")) {
    const text = row.querySelector("input[data-typed]");
    const never = row.querySelector("input[data-never]");
    const echo = row.querySelector("[data-seconds]");
    const paint = () => {
      const value = never?.checked ? "never" : seconds(text.value);
      echo.textContent = value === "never" ? "= −1" : value === null ? "" : `= ${grouped(value)} s`;
    };
    text.addEventListener("input", () => {
      if (never && text.value.trim() !== "") never.checked = false;
      paint();
    });
    never?.addEventListener("change", () => {
      if (never.checked) {
        text.dataset.kept = text.value;
        text.value = "";
      } else if (text.value === "") {
        text.value = text.dataset.kept ?? "";
        text.focus();
      }
      paint();
    });
  }
}

function watchChanges() {
  const bar = form.querySelector("[data-savebar]");
  const count = bar.querySelector("[data-dirty-count]");
  const clean = count.textContent;
  const fields = (row) => [...row.querySelectorAll("input[name], select[name], textarea[name]")];
  const state = (field) => (field.type === "checkbox" || field.type === "radio" ? String(field.checked) : field.value);
  const first = new Map();
  for (const row of form.querySelectorAll("[data-setting]")) {
    for (const field of fields(row)) {
      const served = field.type === "checkbox" || field.type === "radio" ? String(field.defaultChecked)
        : field.tagName === "SELECT" ? ([...field.options].find((option) => option.defaultSelected) ?? field.options[0]).value
        : field.defaultValue;
      first.set(field, served);
    }
  }
  let dirty = 0;
  let leaving = false;
  const paint = () => {
    const names = [];
    for (const row of form.querySelectorAll("[data-setting]")) {
      // A setting that follows the mode is not a change itself: the mode is.
      const own = fields(row).filter((field) => row.dataset.follows === undefined || /\.(un)?set$/.test(field.name));
      const changed = row.dataset.touched !== undefined || own.some((field) => state(field) !== first.get(field));
      row.classList.toggle("is-dirty", changed);
      if (changed) names.push(row.dataset.label);
    }
    dirty = names.length;
    bar.classList.toggle("is-dirty", dirty > 0);
    count.textContent = dirty === 0 ? clean : `${dirty} unsaved change${dirty === 1 ? "" : "s"}`;
    const list = bar.querySelector("[data-dirty-names]");
    if (list) list.textContent = dirty === 0 ? list.dataset.clean : names.slice(0, 3).join(", ") + (dirty > 3 ? ` and ${dirty - 3} more` : "");
  };
  form.addEventListener("input", paint);
  form.addEventListener("change", paint);
  form.addEventListener("submit", () => { leaving = true; });
  for (const discard of form.querySelectorAll("[data-discard]")) discard.addEventListener("click", () => { leaving = true; });
  addEventListener("beforeunload", (event) => {
    if (dirty > 0 && !leaving) event.preventDefault();
  });
  addEventListener("pageshow", paint);
  paint();
}

// A mode sets the settings that have no value of their own. Choosing a mode shows what it sets; an edited setting is custom.
function watchModes() {
  const select = form.querySelector("select[data-modes]:not(:disabled)");
  if (!select) return;
  const table = form.querySelector("[data-knobs]");
  const derived = (row) => row.getAttribute(`data-derived-${select.value}`);
  const rows = [...form.querySelectorAll("[data-setting]")].filter((row) => derived(row) !== null);
  const field = (row) => row.querySelector("[id$='-input']");
  const never = (row) => row.querySelector("[data-never]");
  const typed = (row) => {
    const of = field(row);
    if (of.type === "checkbox") return of.checked ? "on" : "off";
    return never(row)?.checked ? "-1" : of.value.trim();
  };
  const unset = (row) => row.querySelector("[name$='.unset']")?.checked === true;
  const follows = (row) => unset(row) || (row.dataset.own === undefined && row.dataset.touched === undefined && !edited.has(row));
  const edited = new Set();
  let showing = false;
  const same = (a, b) => a === b || (seconds(a) !== null && seconds(a) === seconds(b));
  const show = (row) => {
    const of = field(row);
    if (of.type === "checkbox") of.checked = derived(row) === "on";
    else of.value = derived(row);
    if (never(row)) never(row).checked = false;
    showing = true;
    of.dispatchEvent(new Event("input", { bubbles: true }));
    showing = false;
  };
  const badge = (row, shown) => {
    const meta = row.querySelector(".meta");
    let words = meta.querySelector("[data-custom]");
    if (!words && shown) {
      words = document.createElement("span");
      words.className = "badge info";
      words.dataset.custom = "";
      meta.firstElementChild.after(words);
    }
    if (words) {
      words.hidden = !shown;
      words.textContent = `Custom, from ${select.value}`;
    }
  };
  const paint = () => {
    for (const row of rows) {
      row.toggleAttribute("data-follows", follows(row));
      badge(row, !follows(row) && !same(typed(row), derived(row)));
    }
    badge(select.closest("[data-setting]"), rows.some((row) => row.querySelector("[data-custom]:not([hidden])")));
    for (const cell of table?.querySelectorAll("[data-mode]") ?? []) cell.classList.toggle("is-mode", cell.dataset.mode === select.value);
  };
  const follow = () => {
    for (const row of rows) if (follows(row)) show(row);
    paint();
  };
  const touched = (row, event) => {
    if (showing) return;
    if (event.target.name.endsWith(".unset")) {
      if (unset(row)) show(row);
    } else edited.add(row);
    paint();
  };
  for (const row of rows) for (const kind of ["input", "change"]) row.addEventListener(kind, (event) => touched(row, event));
  select.addEventListener("change", follow);
  // Settings that follow the mode are not sent, so that they stay unset.
  form.addEventListener("formdata", ({ formData }) => {
    for (const row of rows) if (follows(row)) for (const name of [row.dataset.setting, `${row.dataset.setting}.never`]) formData.delete(name);
  });
  paint();
}

function watchSearch() {
  const box = document.querySelector("[data-policy-find]");
  if (!box) return;
  // Search is live; without the button, Enter in a field submits the review.
  box.querySelector("[data-find]").remove();
  const search = box.querySelector("input");
  const status = box.querySelector("[role=status]");
  const empty = document.querySelector("[data-none-found]");
  const paint = () => {
    const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const group of document.querySelectorAll("[data-group]")) {
      let here = 0;
      for (const row of group.querySelectorAll("[data-setting]")) {
        const hit = words.every((word) => row.dataset.search.includes(word));
        row.hidden = !hit;
        if (hit) here += 1;
      }
      group.hidden = here === 0;
      if (words.length > 0 && here > 0) group.open = true;
      found += here;
    }
    empty.hidden = found > 0;
    status.textContent = words.length === 0 ? "" : `${found} setting${found === 1 ? "" : "s"} found`;
  };
  search.addEventListener("input", paint);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      search.value = "";
      paint();
    }
    if (event.key === "Enter") event.preventDefault();
  });
  paint();
}

// Unfolds the setting or group that a link leads to, for browsers that do not do so automatically.
function unfold() {
  const target = location.hash ? document.getElementById(decodeURIComponent(location.hash.slice(1))) : null;
  const group = target?.closest("details[data-group]");
  if (!group) return;
  group.open = true;
  target.scrollIntoView({ block: target === group ? "start" : "center" });
}

if (form) {
  addEventListener("hashchange", unfold);
  unfold();
  watchDurations();
  watchModes();
  watchSearch();
  watchChanges();
}
