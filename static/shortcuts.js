// `/` goes to the page's search or first filter. It is the only single-key shortcut and can be switched off in the footer.
const KEY = "nightlatch.shortcuts";

function on() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true; // storage switched off: the shortcut stays on
  }
}

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || !on()) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog")) return;
  const search = document.querySelector('input[type="search"]');
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

for (const box of document.querySelectorAll("[data-shortcuts]")) {
  box.hidden = !document.querySelector('input[type="search"]');
  const check = box.querySelector("input");
  check.checked = on();
  check.addEventListener("change", () => {
    try {
      localStorage.setItem(KEY, check.checked ? "on" : "off");
    } catch {
      // the choice lasts for this page only
    }
  });
}
