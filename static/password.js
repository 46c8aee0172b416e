// Shows and hides a password, and warns when Caps Lock is on. Paste and password managers keep working.
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
// Asks the server, which will judge the new password, how strong it is once typing pauses.
// The meter keeps its place while it is empty, so that no button moves under a pointer.
for (const box of document.querySelectorAll("[data-strength]")) {
  const input = document.getElementById(box.dataset.strength);
  const bar = box.querySelector("[data-score]");
  const words = box.querySelector("[role=status]");
  const clear = () => { bar.dataset.score = 0; words.textContent = ""; };
  let pause, asked;
  box.hidden = false;
  const ask = async () => {
    asked?.abort();
    asked = new AbortController();
    const body = new URLSearchParams({ new_password: input.value });
    for (const name of (box.dataset.with ?? "").split(" ").filter(Boolean)) body.set(name, input.form.elements[name].value);
    try {
      const answer = await fetch(box.dataset.url, { method: "POST", body, signal: asked.signal, headers: { accept: "application/json" } });
      if (!answer.ok) return;
      const { score, words: stands, enough, advice } = await answer.json();
      bar.dataset.score = score;
      bar.dataset.enough = enough;
      words.textContent = `${stands}. ${enough ? "Good enough." : advice}`;
    } catch (error) {
      if (error.name !== "AbortError") clear();
    }
  };
  input.addEventListener("input", () => {
    clearTimeout(pause);
    if (input.value === "") { asked?.abort(); clear(); } else pause = setTimeout(ask, 300);
  });
  // Other fields that it is judged by (a name, the chosen baseline) may change afterwards.
  input.form.addEventListener("change", ({ target }) => {
    const least = document.querySelector(`#${CSS.escape(input.id)}-hint [data-least]`);
    if (least && target.dataset.least) least.textContent = target.dataset.least;
    if (target !== input && input.value !== "") ask();
  });
}
