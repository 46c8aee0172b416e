// Show and hide a password, and say when Caps Lock is on. Paste and password managers are never hindered.
for (const box of document.querySelectorAll("[data-password]")) {
  const input = box.querySelector("input");
  const button = box.querySelector("[data-show]");
  const caps = box.parentElement.querySelector("[data-caps]");
  if (button) {
    button.hidden = false;
    button.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", String(shown));
      button.firstChild.data = shown ? "Hide" : "Show";
    });
    input.form.addEventListener("submit", () => { input.type = "password"; });
  }
  if (caps) {
    const paint = (event) => { caps.textContent = event.getModifierState?.("CapsLock") ? "Caps Lock is on." : ""; };
    input.addEventListener("keydown", paint);
    input.addEventListener("keyup", paint);
    input.addEventListener("blur", () => { caps.textContent = ""; });
  }
}
