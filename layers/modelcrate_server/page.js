"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const at = (id) => document.getElementById(id);
const shown = (value) => JSON.stringify(value, null, 2) // with what has no inner parts on one line
  .replace(/\[\n\s+([^[\]{}]*?)\n\s*\]/g, (_, inner) => `[${inner.replace(/,\n\s+/g, ", ")}]`);
const short = (text) => { try { return JSON.stringify(JSON.parse(text)); } catch { return text; } };
const chosen = () => facts.routes[at("route").selectedIndex];
const address = () => new URL("." + chosen().path, location.href).href;

function curl() {
  const quoted = short(at("body").value).replaceAll("'", "'\\''");
  at("curl").textContent = `curl ${address()} -H 'Content-Type: ${chosen().type}' -d '${quoted}'`;
}

function choose() {
  at("body").value = chosen().sample === null ? "" : shown(chosen().sample);
  check();
}

function check() {
  let fault = "";
  try { JSON.parse(at("body").value || "null"); } catch (error) { fault = `This is not JSON: ${error.message}`; }
  at("fault").textContent = fault;
  curl();
}

async function send(event) {
  event.preventDefault();
  const button = event.target.querySelector("button"), status = at("status"), started = performance.now();
  button.disabled = true;
  status.textContent = "Waiting …";
  try {
    const answer = await fetch(address(), { method: "POST", headers: { "Content-Type": chosen().type }, body: at("body").value });
    const text = await answer.text();
    status.textContent = `${answer.status} ${answer.statusText}, ${Math.round(performance.now() - started)} ms`;
    status.className = answer.ok ? "" : "bad";
    at("answer").textContent = (answer.headers.get("content-type") || "").includes("json") ? pretty(text) : text;
  } catch (error) {
    status.textContent = `No answer: ${error.message}`;
    status.className = "bad";
    at("answer").textContent = "";
  }
  button.disabled = false;
}

function pretty(text) { try { return shown(JSON.parse(text)); } catch { return text; } }

at("name").textContent = facts.name;
at("about").textContent = facts.about;
for (const id of ["takes", "gives"]) at(id).textContent = Object.keys(facts[id]).length ? shown(facts[id]) : "The script does not describe it.";
for (const each of facts.routes) at("route").add(new Option(`POST ${each.path}  (${each.contract})`));
for (const [path, text] of facts.links) {
  const link = document.createElement("a");
  link.href = "." + path;
  link.textContent = text;
  at("more").append(link, " ");
}
at("route").addEventListener("change", choose);
at("body").addEventListener("input", check);
at("ask").addEventListener("submit", send);
at("copy").addEventListener("click", async () => {
  try { await navigator.clipboard.writeText(at("curl").textContent); at("copy").textContent = "Copied"; }
  catch { getSelection().selectAllChildren(at("curl")); }
});
choose();
