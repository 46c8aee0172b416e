// The page guard: warns before the session ends, then covers the page and signs people in again where they were.
// One deferred script for our own and for protected pages: no dependency, no inline style, its own shadow root.
// The server always decides. The script covers first and checks second, and reports only real input as activity.
"use strict";
(() => {
  // The page on which a sign-in in a window of its own ends.
  if (document.currentScript?.dataset.signedIn !== undefined) {
    new BroadcastChannel("nightlatch").postMessage("resumed");
    setTimeout(() => close(), 100);
    return;
  }
  const ONCE = Symbol.for("nightlatch.guard");
  if (window[ONCE]) return;
  window[ONCE] = true;

  const SESSION = "/nightlatch/session";
  const EVENTS = "nightlatch-events"; // the lock of the tab that has the event stream
  const ASK_MS = 1200; // while an end is near
  const COVERED_ASK_MS = 5000; // while the guard shows something
  const POLL_MS = 20000; // without an event stream
  const TRUST_MS = 300000; // with one
  const FIRST_MS = 5000; // a stream that says nothing for so long is held back by a proxy
  const QUIET_MS = 50000; // and one that falls silent for so long is broken
  const TICK_MS = 500;
  const SAID_AT = [120, 60, 40, 20, 10]; // seconds left at which a screen reader is notified
  const COVERED = "data-nightlatch-covered";

  const root = document.documentElement;
  const fetchPlain = window.fetch.bind(window);
  let user = document.currentScript?.dataset.user ?? null; // whose page this is
  let known = null; // the server's latest answer about a live session
  let heard = null; // when that answer arrived, by both clocks
  let ways = { login: "/login", password: "/password", factor: "/factor" }; // on an application's host these lead to our own host
  let own = null; // the identity provider of the page's account: a list with one or none, once known
  let offered = []; // the identity providers that the lock screen offers
  let passkeyHere = null; // where a passkey alone signs in: "here", or "elsewhere" (on our own host)
  let mode = "page"; // page, warning, lasting, again, checking, gate, factor, enrol, duty, barred
  let stepping = false; // the password was correct and a second factor is required: there is no session yet
  let dialog = null;
  let notNow = false; // the warning of an end that cannot be postponed was dismissed
  let asking = null;
  let askedAt = -Infinity;
  let unanswered = false; // the last question about the session failed
  let turn = 0; // counts activity reports: an answer requested before the latest one is out of date
  let events = 0; // counts events of the stream: an answer requested before the latest one may be out of date
  let leaving = false;
  let beatAt = performance.now();
  let dueSince = null; // when the warning was due and no answer had come yet
  let idleLimit = null; // seconds of inactivity after which the session ends

  // ---- The server

  const ask = (path, body) => fetchPlain(SESSION + path, {
    method: body ? "POST" : "GET",
    headers: body ? { "accept": "application/json", "content-type": "application/json" } : { "accept": "application/json" },
    body: body && JSON.stringify(body),
    cache: "no-store",
    credentials: "same-origin",
    referrerPolicy: "same-origin", // the page says which application the request is for
    keepalive: true,
    signal: AbortSignal.timeout(10000),
  });

  // Fetches the state of the session. Calls during a fetch wait for the same answer.
  function check(told = true) {
    askedAt = performance.now();
    if (leaving || asking) return asking;
    const [asked, since] = [turn, events];
    asking = ask("").then(async (answer) => {
      if (!answer.ok) throw new Error(answer.status);
      const status = await answer.json();
      unanswered = false;
      if (asked === turn) hear(status, told);
    }).catch(() => {
      unanswered = true;
      if (left() < 0 || mode === "checking" || mode === "entered") show("checking", "The server cannot be reached. Trying again…");
      else if (isDue() || mode === "warning") warnAlone();
    }).finally(() => {
      asking = null;
      if (asked !== turn || since !== events) check(false);
    });
    return asking;
  }

  // Reports activity. If the report is refused, the check finds out why.
  async function sign(path) {
    const since = events;
    try {
      const answer = await ask(path, {});
      turn += 1;
      if (answer.ok) {
        const status = await answer.json();
        idleLimit = null; // the report started the time anew, so that the answer states the whole limit
        hear(status, true);
        if (since !== events) check(false);
      } else await check();
      return true;
    } catch {
      return false;
    }
  }

  function hear(status, told) {
    ways = { login: status.login_url, password: status.password_url, factor: status.factor_url ?? "/factor" };
    passkeyHere = status.passkey ?? null;
    offered = status.providers ?? [];
    if (status.state === "live" || status.state === "warning") {
      user ??= status.user;
      if (status.user !== user) return leave("/");
      known = status;
      own = offered;
      heard = { wall: Date.now(), steady: performance.now() };
      stepping = false;
      if (known.idle_ends_in != null) idleLimit = Math.max(idleLimit ?? 0, Math.ceil(known.idle_ends_in));
      follow();
      if (status.may_enter === false) return show("barred");
      if (status.duty === "factor") return show(status.methods ? "factor" : "enrol", status);
      if (status.duty) return show("duty");
      if (status.state === "live") {
        notNow = false;
        show("page");
      } else if (status.ends_by === "idle") show("warning");
      else if (mode !== "again") show(notNow ? "page" : "lasting");
      return;
    }
    unfollow();
    if (user === null) return; // a page that needs no sign-in
    closeConnections();
    known = heard = null;
    if (own) offered = offered.filter((one) => own.some((mine) => mine.address === one.address));
    if (mode !== "gate" && mode !== "factor" && told) tell("ended");
    if (stepping) return;
    const idle = status.reason === "idle" && idleLimit !== null;
    show("gate", idle ? `You were signed out after ${inUnits(idleLimit)} of inactivity.` : status.message ?? "You are signed out.");
  }

  const isDue = () => mode === "page" && !notNow && left() <= (known?.warn_at ?? -1);

  // Warns of the known end without an answer of the server. An end that activity cannot postpone comes in any case.
  function warnAlone() {
    if (known?.ends_by !== "idle") return show("lasting");
    show("warning", `The server cannot be reached. You will be signed out at ${timeOfEnd()} unless the connection returns.`);
  }

  // Seconds until the known end. Two clocks, because one stops while the machine sleeps and the other may be set.
  const left = () => (known?.ends_in == null ? Infinity
    : known.ends_in - Math.max(Date.now() - heard.wall, performance.now() - heard.steady) / 1000);

  // ---- Other tabs

  const channel = "BroadcastChannel" in window ? new BroadcastChannel("nightlatch") : null;
  const tell = (what) => channel?.postMessage(what); // ended, extended, resumed, or an event of the stream; beat and down are its state
  channel?.addEventListener("message", ({ data }) => {
    if (data === "beat") beat = performance.now();
    else if (data === "down") beat = -Infinity;
    else happen(data);
  });

  // ---- The event stream: one per browser and host, in the tab that holds a lock. Without locks each visible tab has its own.

  let beat = -Infinity; // when the stream of this browser last said something
  let following = null; // stops this tab's part in it
  const streams = () => performance.now() - beat < QUIET_MS;
  const pause = (ms, signal) => new Promise((resolve) => {
    setTimeout(resolve, ms);
    signal?.addEventListener("abort", resolve);
  });

  function follow() {
    if (following || leaving || (!navigator.locks && document.hidden)) return;
    following = new AbortController();
    const { signal } = following;
    if (navigator.locks) navigator.locks.request(EVENTS, { signal }, () => keepReading(signal)).catch(() => {});
    else keepReading(signal);
  }

  function unfollow() {
    following?.abort();
    following = null;
  }

  async function keepReading(signal) {
    let failed = 0;
    while (!signal.aborted) {
      const read = await readEvents(signal);
      failed = read ? 0 : failed + 1;
      beat = -Infinity;
      tell("down");
      if (signal.aborted) return;
      happen();
      await pause(Math.min(TRUST_MS, 1000 * 2 ** failed) * (0.5 + Math.random()), signal);
    }
  }

  // Reads one stream to its end. Returns whether it said anything.
  async function readEvents(signal) {
    const stop = new AbortController();
    signal.addEventListener("abort", () => stop.abort());
    let watch = setTimeout(() => stop.abort(), FIRST_MS);
    let read = false;
    try {
      const answer = await fetchPlain(SESSION + "/events", {
        headers: { accept: "text/event-stream" }, cache: "no-store", credentials: "same-origin", referrerPolicy: "same-origin", signal: stop.signal,
      });
      if (answer.status !== 200) throw new Error(answer.status);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let text = ""; ;) {
        const { done, value } = await reader.read();
        if (done) return read;
        clearTimeout(watch);
        watch = setTimeout(() => stop.abort(), QUIET_MS);
        beat = performance.now();
        tell("beat");
        if (!read) happen(); // whatever happened before the stream was open
        read = true;
        const lines = (text + value).split("\n");
        text = lines.pop();
        for (const line of lines) {
          if (!line.startsWith("event: ")) continue;
          tell(line.slice(7));
          happen(line.slice(7));
        }
      }
    } catch {
      return read;
    } finally {
      clearTimeout(watch);
      stop.abort();
    }
  }

  // A new policy concerns everyone at once, so that the questions about it are spread.
  async function happen(event) {
    if (event === "policy") await pause(Math.random() * 1000);
    events += 1;
    check(false);
  }

  addEventListener("pagehide", unfollow);

  // ---- Connections of the page: they end with the session. The server's proxy cannot end them at once.

  const connections = new Set();
  const note = (made) => connections.add(new WeakRef(made));
  for (const name of ["WebSocket", "EventSource"]) {
    if (!window[name]) continue;
    window[name] = new Proxy(window[name], {
      construct(...given) {
        const made = Reflect.construct(...given);
        note(made);
        return made;
      },
    });
    window[name].prototype.constructor = window[name];
  }
  // One that was open before this script is known once it is used.
  const sendFrame = WebSocket.prototype.send;
  WebSocket.prototype.send = function (...given) {
    if (![...connections].some((known) => known.deref() === this)) note(this);
    return sendFrame.apply(this, given);
  };

  function closeConnections() {
    for (const connection of connections) connection.deref()?.close();
    connections.clear();
  }

  // ---- Input

  let reportedAt = -Infinity;
  let report = 0;
  function reportNow() {
    clearTimeout(report);
    report = 0;
    if (mode !== "page") return;
    reportedAt = performance.now();
    sign("/touch");
  }
  // Reports the first input immediately, then at most ten times in the time that is left.
  function noteInput(event) {
    if (!event.isTrusted || report || mode !== "page" || known?.idle_ends_in == null) return;
    if (event.type === "pointermove" && !event.movementX && !event.movementY) return; // the page moved, not the pointer
    const pause = Math.min(30, Math.max(1, known.idle_ends_in / 10)) * 1000;
    report = setTimeout(reportNow, Math.max(0, reportedAt + pause - performance.now()));
  }
  for (const type of ["pointerdown", "pointermove", "keydown", "wheel"]) {
    addEventListener(type, noteInput, { capture: true, passive: true });
  }
  addEventListener("pagehide", () => report && reportNow());

  // Keeps what is typed into the guard from the page's shortcuts, however early they listen.
  for (const type of ["keydown", "keypress", "keyup"]) {
    addEventListener(type, (event) => dialog && event.composedPath().includes(dialog) && event.stopImmediatePropagation(), true);
  }

  // Covers the page if the known end has passed, then checks.
  function wake() {
    if (left() < 0) show("checking");
    check();
  }
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) wake();
    else if (!navigator.locks) unfollow();
  });
  document.addEventListener("resume", wake);
  addEventListener("focus", wake);
  addEventListener("pageshow", (event) => event.persisted && wake());

  // Checks the session when a request of the page gets a 401, which may be ours. The request is not repeated.
  window.fetch = async (...given) => {
    const answer = await fetchPlain(...given);
    if (answer.status === 401) check();
    return answer;
  };
  const sendPlain = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (...given) {
    this.addEventListener("loadend", () => this.status === 401 && check());
    return sendPlain.apply(this, given);
  };

  // ---- Dialogs

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { all: initial !important; color-scheme: inherit !important; } /* outweighs the page's rules; em, since the page sets rem */
    *, ::before, ::after { box-sizing: border-box; }
    dialog, dialog::backdrop {
      --bg: light-dark(#f6f7f9, #0f1216); --surface: light-dark(#fff, #171b21); --line: light-dark(#d5d9e0, #323a45);
      --line-strong: light-dark(#7c8594, #76818f); --ink: light-dark(#15181e, #eceff3); --ink-2: light-dark(#49515e, #b8c0cb);
      --accent: light-dark(#1f5fbf, #8ab6ff); --on-accent: light-dark(#fff, #0b1a33); --field: light-dark(#eef0f4, #1f252d);
      --danger: light-dark(#b3261e, #ff9d94); --danger-soft: light-dark(#fbe4e2, #401613);
    }
    dialog {
      inline-size: min(27.7333em, calc(100vw - 2.1333em)); max-block-size: calc(100dvh - 2.1333em); overflow: auto; margin: auto; padding: 1.6em;
      border: 1px solid var(--line); border-radius: 12px; background: var(--surface); color: var(--ink);
      font: 400 .9375em/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; text-align: start;
      box-shadow: 0 10px 32px light-dark(rgb(20 28 45 / .16), rgb(0 0 0 / .5)); overflow-wrap: break-word;
    }
    dialog::backdrop { background: light-dark(rgb(20 28 45 / .4), rgb(0 0 0 / .55)); }
    dialog.cover::backdrop { background: color-mix(in srgb, var(--bg) 66%, transparent); backdrop-filter: blur(18px); }
    form, .stack { display: grid; gap: .8em; margin: 0; }
    h2 { margin: 0; font-size: 1.2em; line-height: 1.35; font-weight: 650; text-wrap: balance; }
    p { margin: 0; } .soft { color: var(--ink-2); }
    .count { font-size: 1.2em; font-weight: 600; } .count span { font-variant-numeric: tabular-nums; }
    .error { padding: .8em; border-radius: 8px; background: var(--danger-soft); color: var(--danger); font-weight: 600; }
    .error:empty, .wait:empty { display: none; }
    .field { display: grid; gap: .2667em; }
    label { font-size: .8667em; font-weight: 600; }
    input, button { font: inherit; color: inherit; min-block-size: 2.4em; border: 1px solid var(--line-strong); border-radius: 8px; padding: .2667em .8em; }
    input { inline-size: 100%; background: var(--surface); }
    input[readonly] { background: var(--field); border-color: var(--line); }
    input[aria-invalid="true"] { border-color: var(--danger); }
    button { background: var(--surface); font-weight: 550; cursor: pointer; }
    .primary { background: var(--accent); border-color: transparent; color: var(--on-accent); }
    button[aria-disabled="true"] { opacity: .7; cursor: progress; }
    .actions { display: flex; flex-wrap: wrap; gap: .5333em .8em; align-items: center; margin-block-start: .2667em; }
    .actions.apart { justify-content: space-between; }
    @media (max-width: 26rem) { .actions > :is(button, .primary) { flex: 1 1 100%; } }
    a { color: var(--accent); text-underline-offset: .18em; min-block-size: 1.6em; }
    a.primary { padding: .4267em .8em; border-radius: 8px; color: var(--on-accent); font-weight: 550; text-align: center; text-decoration: none; }
    :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
    .said { position: absolute; clip-path: inset(50%); inline-size: 1px; block-size: 1px; overflow: hidden; white-space: nowrap; }
    @media (prefers-reduced-motion: no-preference) { dialog.cover::backdrop { animation: cover .15s; } @keyframes cover { from { background-color: var(--bg); } } }
    @supports not (backdrop-filter: blur(1px)) { dialog.cover::backdrop { background: var(--bg); } }
    @media (forced-colors: active) { dialog.cover::backdrop { background: Canvas; backdrop-filter: none; } button { border-color: ButtonBorder; } }
  `);
  const pageSheet = new CSSStyleSheet();
  pageSheet.replaceSync(`
    html[${COVERED}] body { user-select: none !important; -webkit-user-select: none !important; }
    @media print { html[${COVERED}] body { display: none !important; } }
  `);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, pageSheet];
  const host = document.createElement("nightlatch-guard");
  const shadow = host.attachShadow({ mode: "open" });
  shadow.adoptedStyleSheets = [sheet];

  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const button = (words, act, attributes = {}) => {
    const element = make("button", { type: "button", ...attributes }, words);
    if (act) element.addEventListener("click", act);
    return element;
  };
  const part = (id) => shadow.getElementById(id);
  const write = (id, words) => {
    const element = part(id);
    if (element && element.textContent !== words) element.textContent = words;
  };

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const inWords = (seconds) => (seconds < 60 ? `${seconds} seconds` : seconds < 90 ? "1 minute" : `${Math.round(seconds / 60)} minutes`);
  const inUnits = (seconds) => {
    const [unit, size] = seconds % 3600 === 0 ? ["hour", 3600] : seconds % 60 === 0 ? ["minute", 60] : ["second", 1];
    return `${seconds / size} ${unit}${seconds === size ? "" : "s"}`;
  };
  const timeOfEnd = () => new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(Date.now() + left() * 1000);

  const countdown = (words) => make("p", { class: "count", "aria-hidden": "true" }, words, make("span", { id: "count" }));

  const INACTIVE = "You have been inactive for a while, so you will be signed out.";

  const MODES = {
    warning: {
      closed: stay,
      build: (words) => [make("div", { class: "stack" },
        make("h2", { id: "title" }, "Still there?"),
        make("p", { id: "text", class: "soft", role: "status" }, words ?? INACTIVE),
        countdown("Signing you out in "),
        make("p", { class: "said", role: "status", id: "said" }),
        make("p", { class: "error", role: "alert", id: "error" }),
        make("div", { class: "actions" },
          button("Stay signed in", stay, { class: "primary", autofocus: "" }),
          button("Sign out now", signOut)))],
    },
    lasting: {
      closed: wave,
      build: () => [make("div", { class: "stack" },
        make("h2", { id: "title" }, "Your session is about to end"),
        make("p", { id: "text", class: "soft" }, `It ends at ${timeOfEnd()} even if you stay active, because it has reached its maximum length. Save your work, or sign in again now to continue.`),
        countdown("It ends in "),
        make("p", { class: "said", role: "status", id: "said" }),
        make("div", { class: "actions" },
          button("Sign in again now", () => show("again"), { class: "primary", autofocus: "" }),
          button("Back to the page", wave),
          button("Sign out now", signOut)))],
    },
    again: { closed: wave, build: () => signInForm("Sign in again", "This starts a new session. Nothing you typed on this page is lost.", true) },
    gate: { covers: true, build: (words) => signInForm(words, "Sign in to continue. Nothing you typed on this page was lost.", false) },
    checking: {
      covers: true,
      build: (words) => [make("div", { class: "stack" },
        make("h2", { id: "title" }, "One moment"),
        make("p", { id: "text", class: "soft", role: "status" }, words ?? "Checking whether you are still signed in…"),
        make("div", { class: "actions" }, wayOut("Go to the sign-in page")))],
    },
    duty: {
      covers: true,
      build: () => [make("div", { class: "stack" },
        make("h2", { id: "title" }, "Choose a new password first"),
        make("p", { id: "text", class: "soft" }, "You must change your password before you can continue. The form opens in a new tab; this page stays as it is."),
        make("div", { class: "actions apart" }, wayOut("Sign out"),
          make("a", { href: ways.password, target: "_blank", rel: "noopener", class: "primary", autofocus: "" }, "Choose a new password")))],
    },
    factor: { covers: true, build: factorForm },
    enrol: {
      covers: true,
      build: () => [make("div", { class: "stack" },
        make("h2", { id: "title" }, "Set up a second factor first"),
        make("p", { id: "text", class: "soft" }, "Your account needs a second factor before you can continue. The page to set it up opens in a new tab; nothing you typed on this page is lost."),
        make("div", { class: "actions apart" }, wayOut("Sign out"),
          make("a", { href: signInAddress(ways.factor), target: "_blank", rel: "noopener", class: "primary", autofocus: "" }, "Set up a second factor")))],
    },
    barred: {
      covers: true,
      build: () => [make("div", { class: "stack" },
        make("h2", { id: "title" }, "You don’t have access to this application"),
        make("p", { id: "text", class: "soft" }, "Ask an administrator for access, or sign in with another account."),
        make("div", { class: "actions" }, wayOut("Use another account")))],
    },
  };

  // Asks for the password, or leads to the identity provider of the account, which has no password here.
  function signInForm(title, text, early) {
    const elsewhere = own?.length > 0 && offered.length > 0;
    const providers = offered.map((provider) => providerWay(provider, elsewhere));
    const form = make(elsewhere ? "div" : "form", elsewhere ? { class: "stack" } : { method: "post", action: SESSION + "/login" },
      make("h2", { id: "title" }, title),
      make("p", { id: "text", class: "soft" }, text),
      make("p", { class: "error", role: "alert", id: "error" }),
      make("p", { class: "wait soft", id: "wait", "aria-hidden": "true" }),
      make("div", { class: "field" }, make("label", { for: "username" }, "Username"),
        make("input", { id: "username", name: "username", autocomplete: "username", readonly: "", value: user })),
      ...(elsewhere ? [] : [make("div", { class: "field" }, make("label", { for: "password" }, "Password"),
        make("input", {
          id: "password", name: "password", type: "password", autocomplete: "current-password", required: "", maxlength: "512",
          autocapitalize: "none", spellcheck: "false", autofocus: "",
        }))]),
      make("div", { class: "actions apart" },
        early ? button("Back to the page", wave) : wayOut("Use another account"),
        ...(elsewhere ? providers : [make("button", { class: "primary", id: "enter" }, "Sign in")])),
      ...passkeyWay(passkeyHere, false),
      ...(elsewhere || !providers.length ? [] : [make("div", { class: "actions" }, ...providers)]));
    if (!elsewhere) form.addEventListener("submit", (event) => {
      event.preventDefault();
      signIn();
    });
    return [form];
  }

  // Leads to an identity provider in a window of its own, so that this page stays as it is. Where windows are blocked, the link opens a tab.
  function providerWay({ title, address }, first) {
    const end = "/nightlatch/signed-in";
    const query = new URLSearchParams({ user, return_to: ways.login.startsWith("/") ? end : location.origin + end });
    const link = make("a", { href: `${address}?${query}`, target: "_blank", rel: "opener", ...(first ? { class: "primary", autofocus: "" } : {}) },
      `Sign in at ${title}`, make("span", { class: "said" }, " (opens a new window)"));
    link.addEventListener("click", (event) => {
      if (window.open(link.href, "nightlatch-provider", "popup,width=520,height=720")) event.preventDefault();
    });
    return link;
  }

  // The second step: a passkey first, else a code. `asked` names the methods and says whether a passkey works on this host.
  function factorForm(asked) {
    const byCode = asked.methods.some((method) => method !== "passkey");
    const codes = [["totp", "Code from your authenticator app"], ["recovery", "Recovery code"]].filter(([method]) => asked.methods.includes(method)).map(([, label]) => label);
    const opensSetup = byCode && asked.required === "passkey"; // such a code opens only the setup of a passkey
    const others = asked.duty === "factor" && !byCode; // a passkey is required: all else is on the page
    const passkey = asked.methods.includes("passkey") ? passkeyWay(asked.passkey, true) : [];
    const form = make("form", { method: "post", action: SESSION + "/factor" },
      make("h2", { id: "title" }, "Confirm it’s you"),
      make("p", { id: "text", class: "soft" }, "Use your second factor to continue. Nothing you typed on this page is lost."),
      make("p", { class: "error", role: "alert", id: "error" }),
      make("p", { class: "wait soft", id: "wait", "aria-hidden": "true" }),
      ...passkey);
    if (others) form.append(make("p", { class: "soft" }, make("a", { href: signInAddress(ways.factor), target: "_blank", rel: "noopener", id: "factor-page" }, "Lost your passkey? See what else you can do, in a new tab")));
    if (byCode) form.append(make("div", { class: "field" }, make("label", { for: "code" }, codes.length > 1 ? "Code from your authenticator app, or a recovery code" : codes[0]),
      ...(opensSetup ? [make("p", { class: "soft", id: "opens" }, "A passkey is required. A code opens only the setup of one.")] : []),
      make("input", { id: "code", name: "code", autocomplete: "one-time-code", required: "", maxlength: "64", autocapitalize: "none", spellcheck: "false", ...(passkey.length ? {} : { autofocus: "" }) })));
    form.append(make("div", { class: "actions apart" }, wayOut("Use another account"),
      ...(byCode ? [make("button", { id: "enter", ...(passkey.length ? {} : { class: "primary" }) }, "Continue")] : [])));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (byCode) act("enter", () => ask("/factor", { code: part("code").value }), "code");
    });
    return [form];
  }

  const canUsePasskeys = isSecureContext && typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === "function";

  // A button for one touch; on hosts that the passkeys are not made for, a link to the host that they are.
  function passkeyWay(here, first) {
    if (here === "elsewhere") {
      return [make("p", { class: "soft" }, make("a", { href: signInAddress(), target: "_blank", rel: "noopener", id: "passkey-elsewhere" }, "Use a passkey on the sign-in page"))];
    }
    if (!here || !canUsePasskeys) return [];
    const element = button("Use a passkey", () => act("passkey", touchPasskey, "passkey"), { id: "passkey", ...(first ? { class: "primary", autofocus: "" } : {}) });
    return [element];
  }

  async function touchPasskey() {
    const offered = await ask("/factor/options", {});
    if (!offered.ok) return offered;
    const { publicKey } = await offered.json();
    const credential = await navigator.credentials.get({
      publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey),
      signal: AbortSignal.timeout(120000),
    });
    return ask("/factor", { credential: credential.toJSON() });
  }

  // Returns the address of the sign-in page. From an application's page, it leads back to that page.
  const signInAddress = (page = ways.login) => (page.startsWith("/") ? page
    : `${page}?return_to=${encodeURIComponent(location.href.split("#")[0])}`);

  // Makes a link that signs out. It is a link so that it works even when script fails.
  function wayOut(words) {
    const link = make("a", { href: signInAddress() }, words);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      signOut();
    });
    return link;
  }

  // Replaces one dialog with another in one step, so that the page never shows in between.
  function show(next, words) {
    const same = mode === next;
    if (same && next === "checking" && words) write("text", words);
    if (same && next === "gate" && words) write("title", words);
    if (same && next === "warning") write("text", words ?? INACTIVE);
    if (same) return tick();
    const scroll = [scrollX, scrollY];
    const old = dialog;
    mode = next;
    dialog = null;
    const { build, covers, closed } = MODES[next] ?? {};
    root.toggleAttribute(COVERED, Boolean(covers));
    old?.close(); // returns the focus
    old?.remove();
    waitUntil = said = 0;
    if (build) {
      dialog = make("dialog", { "aria-labelledby": "title", "aria-describedby": closed && next !== "again" ? "text said" : "text" }, ...build(words));
      if (closed && next !== "again") dialog.setAttribute("role", "alertdialog");
      if (covers) {
        dialog.classList.add("cover");
        dialog.setAttribute("closedby", "none");
      }
      keepOpen(dialog, closed);
      if (!host.isConnected) root.append(host);
      shadow.append(dialog);
      tick();
      dialog.showModal();
      shadow.querySelector("[autofocus]")?.focus();
    }
    if (scroll[0] !== scrollX || scroll[1] !== scrollY) scrollTo({ left: scroll[0], top: scroll[1], behavior: "instant" });
    if (!build) tick();
  }

  // Makes Esc call `closed`. Without `closed` there is no choice, and the dialog stays open whatever closes it.
  function keepOpen(shown, closed) {
    shown.addEventListener("cancel", (event) => {
      event.preventDefault();
      closed?.();
    });
    shown.addEventListener("close", () => {
      if (shown !== dialog || shown.open) return;
      shown.showModal();
      closed?.();
    });
  }

  let said = 0;
  let waitUntil = 0;
  const TITLE = /^(\(\d+:\d\d\) |Signed out – )+/;

  // Updates digits, screen reader text and title, once a second and after every change.
  function tick() {
    const seconds = Math.max(0, Math.ceil(left()));
    const counting = mode === "warning" || mode === "lasting" || (notNow && mode !== "gate" && known !== null);
    const prefix = counting ? `(${clock(seconds)}) ` : mode === "gate" ? "Signed out – " : "";
    const title = prefix + document.title.replace(TITLE, "");
    if (document.title !== title) document.title = title;
    write("count", clock(seconds));
    const mark = SAID_AT.findLast((at) => seconds <= at) ?? Infinity;
    if (counting && part("said") && mark !== said) {
      // The first announcement states the time that is left, later ones come at the marks.
      write("said", `You will be signed out in ${inWords(said === 0 ? seconds : mark)}.`);
      said = mark;
    }
    const wait = Math.ceil((waitUntil - performance.now()) / 1000);
    write("wait", wait > 0 ? `${clock(wait)} left` : "");
  }

  // ---- Buttons

  async function stay() {
    if (!(await sign("/touch"))) return write("error", "The server cannot be reached. Try again.");
    tell("extended");
  }

  function wave() {
    notNow = true;
    show("page");
  }

  const signIn = () => act("enter", () => ask("/login", { username: user, password: part("password").value }), "password");

  // One step of signing in: `send` gives the server's answer, `field` is what is wrong when it refuses.
  async function act(id, send, field) {
    const pressed = part(id);
    if (pressed.getAttribute("aria-disabled") === "true") return;
    pressed.setAttribute("aria-disabled", "true");
    write("error", "");
    try {
      const answer = await send();
      const said = await answer.json();
      if (answer.ok || answer.status === 409) {
        if (answer.ok && said.user !== user) return leave("/");
        stepping = false;
        mode = "entered"; // any dialog is replaced by what the server answers now
        turn += 1;
        await asking;
        await check();
        return tell("resumed");
      }
      if (said.code === "factor") {
        stepping = true;
        return show("factor", said);
      }
      if (said.code === "sign_in") {
        stepping = false;
        return show("gate", said.detail);
      }
      refuse(part(field), said.detail, said.retry_after);
    } catch (error) {
      const cancelled = error.name === "NotAllowedError" || error.name === "TimeoutError";
      refuse(part(field), field === "passkey" && cancelled ? "No passkey was used. Try again, or use another way." : "The server cannot be reached. Try again.");
    } finally {
      pressed.removeAttribute("aria-disabled");
    }
  }

  function refuse(field, words, wait) {
    write("error", words);
    waitUntil = wait > 1 ? performance.now() + wait * 1000 : 0;
    field.focus();
    if (field.localName === "input") {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", "error");
      field.select();
    }
    tick();
  }

  async function signOut() {
    let to = ways.login;
    try {
      const answer = await ask("/logout", {});
      if (answer.ok) to = (await answer.json()).location;
      tell("ended");
    } catch {
      // the sign-in page shows what is wrong
    }
    leave(signInAddress(to));
  }

  // Leaves the page, and covers it so that the next person at this browser does not see it.
  function leave(to) {
    leaving = true;
    known = heard = null;
    show("checking", "Leaving this page…");
    location.replace(to);
  }

  // ---- Timer

  setInterval(() => {
    tick();
    const now = performance.now();
    if (known?.heartbeat_every && now - beatAt >= known.heartbeat_every * 1000) {
      beatAt = now;
      sign("/heartbeat");
    }
    if (left() < 0 && mode !== "gate" && mode !== "checking") show("checking");
    const due = isDue();
    dueSince = due ? dueSince ?? now : null;
    if (due && now - dueSince > 2 * ASK_MS) warnAlone(); // the check has neither failed nor been answered
    const every = due || left() < 0 || mode === "checking" || mode === "entered" ? ASK_MS
      : unanswered || (mode !== "page" && !document.hidden) ? COVERED_ASK_MS : streams() ? TRUST_MS : POLL_MS;
    if (now - askedAt >= every - TICK_MS / 2) check(); // timers are never exactly on time
  }, TICK_MS);
  check();
})();
