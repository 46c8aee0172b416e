// Updates relative times and offers relative, local or UTC times. Without script the server's text stays.
// The steps are those of src/http/filters.rs.
const KEY = "nightlatch.times";
const MODES = ["relative", "local", "utc"];

const modeKept = () => {
  try {
    const kept = localStorage.getItem(KEY);
    return MODES.includes(kept) ? kept : "relative";
  } catch {
    return "relative";
  }
};

function relative(at, now) {
  const past = now >= at;
  // Past times are rounded down, future times to the nearest unit.
  const secs = past ? Math.floor((now - at) / 1000) : Math.ceil((at - now) / 1000);
  const whole = (unit) => past ? Math.floor(secs / unit) : Math.round(secs / unit);
  if (secs < 10) return past ? "now" : "in a moment";
  if (secs >= 2592000) return at.toISOString().slice(0, 10);
  const words =
    secs < 60 ? `${secs} s`
    : whole(60) < 60 ? `${whole(60)} min`
    : whole(3600) < 24 ? `${whole(3600)} h`
    : whole(86400) === 1 ? "1 day"
    : `${whole(86400)} days`;
  return past ? `${words} ago` : `in ${words}`;
}

const utc = (at) => `${at.toISOString().slice(0, 19).replace("T", " ")} UTC`;
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const localLong = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

// The page carries the server's `now`; the browser's clock only measures the time since.
const served = Date.parse(document.documentElement.dataset.now ?? "") || Date.now();
const loaded = performance.now();
const now = () => new Date(served + (performance.now() - loaded));

function paint() {
  const mode = modeKept();
  // Hides the clock time beside a relative time in the other modes, where it would say the same twice.
  document.documentElement.dataset.times = mode;
  for (const element of document.querySelectorAll("time[data-time]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const words = mode === "relative" ? relative(at, now()) : mode === "local" ? local.format(at) : utc(at);
    if (element.textContent !== words) element.textContent = words;
    element.title = mode === "utc" ? localLong.format(at) : `${utc(at)} · ${localLong.format(at)}`;
  }
}

for (const box of document.querySelectorAll("[data-times]")) {
  box.hidden = false;
  const select = box.querySelector("select");
  select.value = modeKept();
  select.addEventListener("change", () => {
    try {
      localStorage.setItem(KEY, select.value);
    } catch {
      // the choice lasts for this page only
    }
    paint();
  });
}
paint();
setInterval(() => document.hidden || paint(), 5000);
document.addEventListener("visibilitychange", () => document.hidden || paint());
