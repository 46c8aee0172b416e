// Saves a table as a file, so that what is shown once can be kept. Without script only the table is there.
const guarded = (text) => (/^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text);
const cell = (text) => (/[",;\r\n\t]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
for (const button of document.querySelectorAll("[data-download]")) {
  const table = document.getElementById(button.dataset.download);
  button.hidden = false;
  button.addEventListener("click", () => {
    const lines = [...table.rows].map((row) => [...row.cells].map((one) => cell(guarded(one.textContent.trim()))).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
    link.download = button.dataset.file;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}
