// Recovery codes are shown once: copy them, save them as a text file, print them.
function connect() {
  const list = document.querySelector("[data-codes]");
  if (!list) return;
  const text = () => [...list.querySelectorAll("[data-recovery-code]")].map((code) => code.textContent.trim()).join("\n");
  const buttons = {
    copy: navigator.clipboard && (async (button) => {
      const words = button.textContent;
      try {
        await navigator.clipboard.writeText(text());
        button.textContent = "Copied";
      } catch {
        button.textContent = "Could not copy";
      }
      setTimeout(() => { button.textContent = words; }, 2000);
    }),
    save: () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([`${text()}\n`], { type: "text/plain" }));
      link.download = list.dataset.file;
      link.click();
      URL.revokeObjectURL(link.href);
    },
    print: () => print(),
  };
  for (const button of document.querySelectorAll("[data-codes-act]")) {
    const act = buttons[button.dataset.codesAct];
    if (!act || !button.hidden) continue;
    button.hidden = false;
    button.addEventListener("click", () => act(button));
  }
}
document.addEventListener("recovery-codes", connect);
connect();
