// Confirming one's identity at an identity provider in a window of its own. The page on which it ends says so on a channel
// and closes; the page that asked then sends its form. Without script the same takes a second click.

const channel = new BroadcastChannel("nightlatch-confirmation");

if (document.querySelector("[data-confirmed]")) {
  channel.postMessage("confirmed");
  setTimeout(() => close(), 100);
}

const link = document.querySelector("[data-confirm-elsewhere]");
let waiting = false; // only the page whose link was followed last goes on by itself
link?.addEventListener("click", (event) => {
  waiting = true;
  channel.postMessage("asked");
  // Where windows are blocked, the link opens a tab.
  if (window.open(link.href, "nightlatch-provider", "popup,width=520,height=720")) event.preventDefault();
});
channel.addEventListener("message", ({ data }) => {
  if (data === "confirmed" && waiting) link.closest("form").requestSubmit();
  waiting = false;
});
