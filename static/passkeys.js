// Passkeys: signing in, proving and enrolling. A page names by data attributes the addresses that begin and finish a
// ceremony. Without script, or where the browser has no passkeys, everything else on the page still works.
const canUsePasskeys = window.isSecureContext
  && typeof window.PublicKeyCredential?.parseRequestOptionsFromJSON === "function"
  && typeof window.PublicKeyCredential?.parseCreationOptionsFromJSON === "function";

/** A refusal of the server: its sentence, its code, and what else it says. */
class Refusal extends Error {
  constructor(problem) {
    super(problem.detail ?? "The request failed. Try again.");
    this.problem = problem;
  }
}

async function send(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "accept": "application/json", "content-type": "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
    credentials: "same-origin",
  });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refusal(said);
  return said;
}

// What a person can do about it. The browser does not say which of its reasons it had.
function explain(error, isNew) {
  if (error instanceof Refusal) return error.message;
  if (error.name === "NotAllowedError" && isNew) return "No passkey was made. The request was cancelled or timed out, or this device cannot check who you are: a security key needs a PIN or a fingerprint.";
  if (error.name === "NotAllowedError") return "No passkey was used. The request was cancelled or timed out, or this device has no passkey for this site.";
  if (error.name === "InvalidStateError") return "This device already has a passkey for your account.";
  if (error.name === "SecurityError") return "Passkeys do not work under this address. Open the sign-in page under its usual name.";
  return "The passkey could not be used. Check the connection and try again.";
}

let waiting = null; // the autofill request: a browser has one request at a time
let isSending = false; // one answer is on its way: a second one would sign in twice

async function getCredential(box, conditional) {
  const options = await send(box.dataset.options, {});
  waiting?.abort();
  const abort = new AbortController();
  waiting = conditional ? abort : null;
  return navigator.credentials.get({
    publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options.publicKey),
    signal: conditional ? abort.signal : AbortSignal.timeout(120000),
    ...(conditional ? { mediation: "conditional" } : {}),
  });
}

async function prove(box, conditional) {
  const credential = await getCredential(box, conditional);
  if (isSending) return;
  isSending = true;
  const trust = box.closest("main")?.querySelector("input[name=trust]")?.checked ?? false;
  const said = await send(box.dataset.finish, {
    credential: credential.toJSON(),
    return_to: box.dataset.returnTo ?? "",
    ...(trust ? { trust } : {}),
  }).catch((error) => {
    // The server does not know this passkey any more: the browser need not offer it again.
    if (error instanceof Refusal && error.problem.unknown_credential && PublicKeyCredential.signalUnknownCredential) {
      PublicKeyCredential.signalUnknownCredential({ rpId: error.problem.rp_id, credentialId: credential.id }).catch(() => {});
    }
    isSending = false;
    throw error;
  });
  const form = box.dataset.passkey === "step-up" ? box.closest("form") : null;
  if (form) form.submit(); // the proof is fresh now: what was filled in is carried out
  else location.assign(said.location);
}

async function enrol(box) {
  const options = await send(box.dataset.options, {});
  const credential = await navigator.credentials.create({
    publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options.publicKey),
    signal: AbortSignal.timeout(300000),
  });
  const name = box.querySelector("[name=name]")?.value ?? "";
  const said = await send(box.dataset.finish, { name, credential: credential.toJSON() });
  if (said.recovery_codes?.length) showCodes(said);
  else location.assign(said.location);
}

// Recovery codes are shown once, where the form was.
function showCodes(said) {
  const template = document.querySelector("template[data-recovery]");
  const shown = template.content.cloneNode(true);
  const list = shown.querySelector("[data-codes]");
  list.replaceChildren(...said.recovery_codes.map((code) => {
    const item = document.createElement("li");
    const text = document.createElement("code");
    text.dataset.recoveryCode = "";
    text.textContent = code;
    item.append(text);
    return item;
  }));
  shown.querySelector("[data-continue]").href = said.location;
  const heading = document.querySelector(".head h1");
  heading.nextElementSibling?.remove();
  document.title = document.title.replace(heading.textContent, "Your passkey is set up");
  heading.textContent = "Your passkey is set up";
  document.querySelector("[data-replaced]").replaceChildren(shown);
  document.getElementById("codes-h").focus();
  document.dispatchEvent(new Event("recovery-codes"));
}

// A box carries out one ceremony at a time, and says what went wrong in its own place.
function connect(box) {
  const button = box.querySelector("[data-passkey-start]");
  const fault = box.querySelector("[data-passkey-fault]");
  const act = box.dataset.passkey === "enrol" ? enrol : prove;
  const run = async () => {
    if (box.dataset.passkey === "step-up") {
      // A passkey stands in for these.
      for (const id of ["step_up_password", "step_up_code"]) document.getElementById(id)?.removeAttribute("required");
      if (!box.closest("form").reportValidity()) return;
    }
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    fault.textContent = "";
    try {
      await act(box, false);
    } catch (error) {
      fault.textContent = explain(error, act === enrol);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };
  box.hidden = false;
  // The box was hidden until now, so that the browser may have passed over its autofocus.
  const first = { prove: button, enrol: box.querySelector("[name=name]") }[box.dataset.passkey];
  if (document.activeElement === document.body) first?.focus();
  const form = box.closest("form") ?? (box.tagName === "FORM" ? box : null);
  if (box.dataset.passkey === "enrol" && form) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      run();
    });
  } else button.addEventListener("click", run);
}

const RENEWED_AFTER_MS = 270000; // a challenge counts for five minutes

// While a name is typed, the browser offers its passkeys as it offers passwords.
async function offerAutofill(box) {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  for (;;) {
    const renewal = setTimeout(() => waiting?.abort("renew"), RENEWED_AFTER_MS);
    try {
      return await prove(box, true);
    } catch (error) {
      if (error === "renew") continue;
      // A refusal is worth a sentence; that nothing was chosen is not.
      if (error instanceof Refusal) box.querySelector("[data-passkey-fault]").textContent = error.message;
      return;
    } finally {
      clearTimeout(renewal);
    }
  }
}

for (const box of document.querySelectorAll("[data-passkey]")) {
  if (!canUsePasskeys) continue;
  connect(box);
  if ("conditional" in box.dataset) offerAutofill(box);
}
for (const hint of document.querySelectorAll("[data-without-passkeys]")) hint.hidden = canUsePasskeys;
