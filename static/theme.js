// Theme: light, dark or the system's. A blocking script, so that the first paint has the right colours.
(() => {
  const KEY = "nightlatch.theme";
  const ORDER = ["auto", "light", "dark"];
  const WORDS = { auto: "Automatic", light: "Light", dark: "Dark" };
  const root = document.documentElement;
  const read = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return ORDER.includes(kept) ? kept : "auto";
    } catch {
      return "auto"; // storage switched off: the system decides
    }
  };
  const apply = (theme) => {
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.hidden = false;
      button.querySelector("[data-theme-word]").textContent = WORDS[theme];
    }
  };
  apply(read());
  addEventListener("DOMContentLoaded", () => {
    apply(read());
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.addEventListener("click", () => {
        const next = ORDER[(ORDER.indexOf(read()) + 1) % ORDER.length];
        try {
          localStorage.setItem(KEY, next);
        } catch {
          // the choice lasts for this page only
        }
        apply(next);
      });
    }
  });
  addEventListener("storage", (event) => {
    if (event.key === KEY) apply(read());
  });
})();
