// The file that was asked for before the password: fetched as soon as the page is there. Without it the button does.
document.querySelector("form[data-fetched]")?.requestSubmit();
