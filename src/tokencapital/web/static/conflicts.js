"use strict";
// The page of conflicts: digits choose a side, c gives another answer, w a reason, Enter settles.
(() => {
  const form = document.getElementById("conflict");
  const button = document.getElementById("settle");
  if (!form || !button) return;
  const reason = form.querySelector("[data-reason]");
  const other = form.querySelector("[data-other]");
  const status = document.getElementById("status");
  const tell = (words) => { status.textContent = words; };
  if (other) other.addEventListener("input", () => { document.getElementById("side-other").checked = true; });
  form.addEventListener("change", (event) => {
    if (event.target.name === "side") tell("Chosen. Enter settles.");
  });
  form.addEventListener("submit", (event) => {
    if (form.querySelector("[name=side]:checked")) return;
    event.preventDefault();
    tell("Choose a side first: press its number.");
  });
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey) return;
    const target = event.target;
    const ready = !event.repeat && document.documentElement.dataset.ready;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (ready) button.click();
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    if (target === reason && event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      reason.blur();
      tell("Reason kept. Enter settles.");
      return;
    }
    if (target.matches("textarea, input:not([type=radio])")) return;
    if (event.key === "Enter" && !target.matches("a[href], button, summary")) {
      event.preventDefault();
      if (ready) button.click();
    } else if (event.key === "c" && other) {
      event.preventDefault();
      other.focus();
    } else if (event.key === "w") {
      event.preventDefault();
      reason.focus();
    }
  });
})();
