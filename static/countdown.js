// Counts down to an instant by the server's clock, which the page carries. Screen readers hear it only now and then.
const served = Date.parse(document.documentElement.dataset.now ?? "") || Date.now();
const loaded = performance.now();
const SAID_AT = [45, 30, 15, 5];

for (const element of document.querySelectorAll("[data-countdown]")) {
  const until = Date.parse(element.dataset.countdown);
  const aloud = element.closest("section")?.querySelector("[data-countdown-said]");
  const fixed = element.textContent;
  const tick = () => {
    const left = Math.ceil((until - served - (performance.now() - loaded)) / 1000);
    if (left < 0) {
      clearInterval(timer);
      element.textContent = `${fixed.split(" (")[0]} (time is up: reverted)`;
      // A reload shows what is in force now.
      if (!document.querySelector("[data-dirty=true]")) location.reload();
      return;
    }
    element.textContent = `${fixed.split(" (")[0]} (in ${left} s)`;
    if (aloud && SAID_AT.includes(left)) aloud.textContent = `${left} seconds left to keep the new policy.`;
  };
  const timer = setInterval(tick, 1000);
  tick();
}
