// Starts the download that was requested before the password was asked for. Without script the button does it.
document.querySelector("form[data-fetched]")?.requestSubmit();
