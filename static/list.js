// Lists: selects the page and counts in the button. Without script every box and button still works.
for (const form of document.querySelectorAll("form[data-bulk]")) {
  const boxes = () => [...form.querySelectorAll('input[name="id"]')];
  const all = form.querySelector("[data-select-all]");
  const paint = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    const yours = boxes().some((box) => box.checked && box.hasAttribute("data-yours"));
    if (all) {
      all.checked = chosen > 0 && chosen === boxes().length;
      all.indeterminate = chosen > 0 && chosen < boxes().length;
    }
    for (const button of form.querySelectorAll("[data-bulk-button]")) {
      const noun = button.dataset.noun;
      button.textContent = chosen === 0 ? `${button.dataset.verb} selected ${noun}s`
        : `${button.dataset.verb} ${chosen} ${noun}${chosen === 1 ? "" : "s"}${yours ? " including yours" : ""}`;
      button.disabled = chosen === 0;
    }
    const status = form.querySelector("[data-bulk-status]");
    if (status) status.textContent = chosen === 0 ? "Nothing selected" : `${chosen} selected${yours ? ", including your own session" : ""}`;
  };
  if (all) {
    all.closest("[hidden]")?.removeAttribute("hidden");
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
      paint();
    });
  }
  // Shows a field only while an action that reads it is chosen.
  for (const field of form.querySelectorAll("[data-for-acts]")) {
    const act = form.elements.act;
    const offer = () => { field.hidden = !field.dataset.forActs.split(" ").includes(act.value); };
    act.addEventListener("change", offer);
    addEventListener("pageshow", offer);
    offer();
  }
  form.addEventListener("change", paint);
  addEventListener("pageshow", paint);
  paint();
}

// Applies a changed page size immediately.
for (const select of document.querySelectorAll("select[data-submit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// Keeps the scroll position after an action in a row, because the answer leads back to the same list.
const PLACE = "nightlatch.place";
const here = location.pathname + location.search;
for (const form of document.querySelectorAll("form[data-bulk]")) {
  form.addEventListener("submit", () => {
    try {
      sessionStorage.setItem(PLACE, JSON.stringify({ here, y: scrollY }));
    } catch {
      // storage switched off: the page starts at its top
    }
  });
}
try {
  const kept = JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
  sessionStorage.removeItem(PLACE);
  if (kept?.here === here) scrollTo(0, kept.y);
} catch {
  // storage switched off
}
