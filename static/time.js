// Keeps relative times ticking and lets people choose: relative, local or UTC. The server's words stand without it.
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
  // What has passed is cut off, what remains is rounded.
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

// The server owns the clock: its `now` is in the page, ours only measures what has passed since.
const served = Date.parse(document.documentElement.dataset.now ?? "") || Date.now();
const loaded = performance.now();
const now = () => new Date(served + (performance.now() - loaded));

function paint() {
  const mode = modeKept();
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
      // not kept beyond this page
    }
    paint();
  });
}
paint();
setInterval(() => document.hidden || paint(), 5000);
document.addEventListener("visibilitychange", () => document.hidden || paint());
