// What script adds. Every page works without it; nothing here sends, stores or decides anything.
"use strict";

// A page that refused a form answers a POST; Back leads to its address instead of to a question about sending it again.
if (document.querySelector(".summary")) history.replaceState(null, "", location.href);

// Show and hide a password. Seeing it replaces typing it twice, so the second field goes.
for (const box of document.querySelectorAll("[data-show]")) {
  const input = box.querySelector("input");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.setAttribute("aria-controls", input.id);
  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? box.dataset.hide : box.dataset.show;
    button.setAttribute("aria-label", shown ? box.dataset.hideName : box.dataset.showName);
  };
  show(false);
  button.addEventListener("click", () => show(input.type === "password"));
  // A browser offers to remember a password only if it leaves as one.
  input.form.addEventListener("submit", () => show(false));
  input.autocapitalize = "off";
  input.spellcheck = false;
  box.append(button);
}
for (const again of document.querySelectorAll("[data-confirm]")) again.remove();

// Count a wait down in its own sentence, then show what waited and say so once.
for (const wait of document.querySelectorAll("[data-wait]")) {
  const number = wait.querySelector("[data-seconds]");
  const until = Date.now() + wait.dataset.wait * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    if (left > 0) {
      wait.dataset.left = left;
      number.textContent = left;
      setTimeout(tick, 250);
      return;
    }
    delete wait.dataset.left;
    const said = wait.querySelector("p");
    said.setAttribute("role", "status");
    said.textContent = wait.dataset.ready;
  };
  if (number) tick();
}

// Look again while something is being made. A reload shows the truth; a hidden page need not ask.
const again = document.querySelector("[data-reload]");
if (again) {
  setInterval(() => {
    if (!document.hidden) location.reload();
  }, again.dataset.reload * 1000);
}

// What pays once it is confirmed: the line of the card that is chosen.
const after = document.querySelector("[data-after]");
if (after) {
  const cloud = after.querySelector("li");
  const draw = () => {
    const chosen = document.querySelector("[data-kind]:checked");
    after.hidden = !chosen;
    if (!chosen) return;
    cloud.hidden = !chosen.dataset.kind;
    cloud.querySelector("b").textContent = chosen.dataset.kind;
    cloud.querySelector("p span").textContent = chosen.dataset.detail;
  };
  addEventListener("change", draw);
  addEventListener("pageshow", draw);
}

// The problems come first, for eyes and for screen readers.
document.querySelector("[data-focus]")?.focus();

// One press, one deed. The server makes sure of it anyway; a page brought back by Back must work again.
for (const form of document.forms) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 8000);
  });
}
addEventListener("pageshow", () => {
  for (const form of document.forms) delete form.dataset.sent;
});

// What stood open stays open over a reload. A part the server opened (it holds an answer or an error) wins.
for (const details of document.querySelectorAll("[data-keep]")) {
  const key = `open ${location.pathname} ${details.dataset.keep}`;
  try {
    if (sessionStorage.getItem(key)) details.open = true;
    details.addEventListener("toggle", () => {
      if (details.open) sessionStorage.setItem(key, "yes");
      else sessionStorage.removeItem(key);
    });
  } catch {
    // Storage may be switched off; the part then opens as the server says.
  }
}
