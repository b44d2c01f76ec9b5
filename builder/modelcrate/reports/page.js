// The map: boxes of boxes. Reads the lines that reports/map_text.py writes, and draws what is under the place that the address names.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const facts = JSON.parse($("facts").textContent);
  const KINDS = { "!": "image", "@": "platform", "#": "layer", $: "package", "/": "folder", ":": "file", "~": "tensor", ".": "group", "+": "more", "%": "rest", ">": "file", "-": "file", "^": "file" };
  const STATES = { ">": "added", "-": "removed", "^": "changed" };
  const LINE = /^(.)(.)(.*)([!@#$/:~.+%>^-])(?:([0-9a-z]+)|\*([0-9a-z]+))?(?:,([0-9a-z]+),([a-z]*))?(?:;([0-9a-z]+))?$/u;
  const SHARED = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const MOST = 1600; // boxes that are drawn at once
  const LISTED = 200;

  function read(text) {
    const last = [], above = [], all = [];
    for (const line of text.slice(1, -1).split("\n")) {
      const [, depth, shared, rest, sign, size, same, stored, role, what] = LINE.exec(line);
      const at = parseInt(depth, 36);
      last[at] = (last[at] || "").slice(0, SHARED.indexOf(shared)) + rest.replace(/\\(.)/g, (_, each) => (each === "l" ? "<" : facts.endings[each] || each));
      const node = { name: last[at], kind: KINDS[sign], state: STATES[sign], size: parseInt(size || "0", 36), in: [], up: above[at - 1] };
      if (stored !== undefined) Object.assign(node, { stored: parseInt(stored, 36), role: role || "other" });
      if (what) node.what = facts.whats[parseInt(what, 36)];
      if (same) node.in = all[parseInt(same, 36)].in.map((each) => copy(each, node));
      if (node.up) node.up.in.push(node);
      above[at] = node;
      all.push(node);
    }
    return all[0];
  }

  function copy(node, up) {
    const made = { ...node, up };
    made.in = node.in.map((each) => copy(each, made));
    return made;
  }

  // The size of a box is the sum of those in it. A layer's stored bytes are shared out evenly.
  function measure(node, role, share) {
    if (node.role) role = node.role;
    node.role = role;
    for (const each of node.in) measure(each, role, share);
    if (node.in.length) node.size = node.in.reduce((sum, each) => sum + each.size, 0);
    if (node.stored !== undefined) spread(node, node.size ? node.stored / node.size : 0);
    else if (node.kind === "image" || node.kind === "platform") node.kept = node.in.reduce((sum, each) => sum + each.kept, 0);
  }

  function spread(node, share) {
    node.kept = node.size * share;
    for (const each of node.in) spread(each, share);
  }

  // Packages below those that they vanish with, and what belongs to no package below its layer.
  function byAdded(root) {
    const bare = ({ name, kind, role, state }, up) => ({ name, kind, role, state, up, in: [], size: 0 });
    const made = bare(root);
    const tops = root.in.some((each) => each.kind === "platform") ? root.in : [root];
    tops.forEach((top, number) => {
      const place = top === root ? made : bare(top, made);
      if (top !== root) made.in.push(place);
      const packages = new Map();
      for (const layer of top.in) {
        const rest = { ...bare(layer, place), name: layer.in.some((each) => each.kind === "package") ? `${layer.name}, in no package` : layer.name };
        for (const each of layer.in.length ? layer.in : [layer]) {
          if (each.kind !== "package") rest.in.push(copy(each, rest));
          else {
            if (!packages.has(each.name)) packages.set(each.name, bare(each, place));
            const whole = packages.get(each.name);
            const own = copy(each, whole);
            own.name = `itself, in ${layer.name}`;
            whole.in.push(own);
          }
        }
        if (rest.in.length) place.in.push(rest);
      }
      const keepers = facts.keepers[number] || {};
      for (const [name, node] of packages) {
        const keeper = packages.get(keepers[name]) || place;
        node.up = keeper;
        keeper.in.push(node);
      }
    });
    sum(made);
    return made;
  }

  function sum(node) {
    for (const each of node.in) sum(each);
    if (node.in.length) node.size = node.in.reduce((total, each) => total + each.size, 0);
  }

  // As reports/treemap.py: rows that are as square as they can be.
  function squarify(sizes, x, y, width, height) {
    const total = sizes.reduce((all, each) => all + each, 0), boxes = [];
    const areas = sizes.map((each) => (total ? (each * width * height) / total : 0));
    for (let at = 0; at < areas.length; ) {
      const side = Math.min(width, height);
      let row = areas[at], least = row, most = row, end = at + 1, worst = ratio(row, least, most, side);
      for (; end < areas.length; end++) {
        const area = areas[end], now = ratio(row + area, Math.min(least, area), Math.max(most, area), side);
        if (now > worst) break;
        [row, least, most, worst] = [row + area, Math.min(least, area), Math.max(most, area), now];
      }
      const thick = side > 0 ? row / side : 0, wide = width >= height;
      for (let along = wide ? y : x; at < end; at++) {
        const length = thick > 0 ? areas[at] / thick : 0;
        boxes.push(wide ? [x, along, thick, length] : [along, y, length, thick]);
        along += length;
      }
      if (wide) [x, width] = [x + thick, Math.max(0, width - thick)];
      else [y, height] = [y + thick, Math.max(0, height - thick)];
    }
    return boxes;
  }

  const ratio = (sum, least, most, side) => (least > 0 ? Math.max((side * side * most) / (sum * sum), (sum * sum) / (side * side * least)) : Infinity);

  function bytes(count) {
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (Math.abs(count) < 1000) return `${unit === "B" ? Math.round(count) : count.toFixed(1)} ${unit}`;
      count /= 1000;
    }
    return `${count.toFixed(1)} TB`;
  }

  const whole = read($("lines").textContent);
  measure(whole, facts.comparison ? "base" : "other");
  let mode = facts.comparison ? "unpacked" : "stored", root = whole, here = whole, hits = null, drawn = [], added;
  const value = (node) => (mode === "stored" ? node.kept : node.size);
  const falling = (node) => node.in.filter((each) => value(each) > 0).sort((one, other) => value(other) - value(one) || one.name.localeCompare(other.name, "en", { numeric: true }));
  const path = (node) => (node.up ? [...path(node.up), node] : []);
  const percent = (part, all) => { const share = all ? (100 * part) / all : 0; return share >= 99.95 ? "100 %" : share < 0.1 ? "< 0.1 %" : `${share.toFixed(1)} %`; };

  function element(name, classes, text) {
    const made = document.createElement(name);
    made.className = classes;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function draw() {
    const map = $("boxes");
    map.textContent = "";
    drawn = [];
    map.classList.toggle("hits", !!hits);
    const inside = here.in.length ? here : { ...here, in: [here] };
    const jobs = [[map, inside, 0, 0, map.clientWidth, map.clientHeight, 0]];
    for (const job of jobs) place(jobs, ...job); // level by level, so that a limit leaves out the smallest
    const first = map.querySelector("button");
    if (first) first.tabIndex = 0;
  }

  function place(jobs, parent, node, x, y, width, height, depth) {
    let inner = falling(node).filter((each) => each.kind !== "rest" || value(each) > value(node) / 50);
    while (depth && inner.length === 1 && inner[0].in.length) inner = falling(inner[0]);
    squarify(inner.map(value), x, y, width, height).forEach(([left, top, wide, high], at) => {
      if (wide < 3 || high < 3 || drawn.length >= MOST) return;
      const each = inner[at];
      const box = element(depth ? "span" : "button", `box d${Math.min(depth, 2)} ${each.state ? `st-${each.state}` : `r-${each.role}`}${each.in.length ? "" : " leaf"}${hits && hits.has(each) ? " hit" : ""}`);
      box.style.cssText = `left:${left.toFixed(1)}px;top:${top.toFixed(1)}px;width:${wide.toFixed(1)}px;height:${high.toFixed(1)}px`;
      box.dataset.at = drawn.push(each) - 1;
      if (!depth) {
        box.type = "button";
        box.tabIndex = -1;
      }
      const named = wide > 44 && high > 17;
      if (!depth && !named) box.setAttribute("aria-label", `${each.name} ${bytes(value(each))}`);
      if (named) {
        const name = element("span", "name", each.name);
        if (wide > 110) name.append(" ", element("i", "", bytes(value(each))));
        box.append(name);
      }
      parent.append(box);
      const head = named ? 20 : 3;
      if (each.in.length && depth < 5 && wide > 24 && high > head + 12) {
        const inside = depth ? box : element("span", "");
        if (!depth) {
          inside.setAttribute("aria-hidden", "true");
          box.append(inside);
        }
        jobs.push([inside, each, 3, head, wide - 6, high - head - 3, depth + 1]);
      }
    });
  }

  function list() {
    const inner = falling(here), most = inner.length ? value(inner[0]) : 1;
    const rows = inner.slice(0, LISTED).map((each) => {
      const item = element("li", each.state ? `st-${each.state}` : `r-${each.role}`), row = element(each.in.length ? "button" : "div", "row");
      if (each.in.length) {
        row.type = "button";
        row.addEventListener("click", () => go(each));
      }
      const share = element("span", "share");
      share.style.width = `${(100 * value(each)) / most}%`;
      row.append(element("span", "label", each.what ? `${each.name} ${each.what}` : each.name), element("span", "value", `${bytes(value(each))} · ${percent(value(each), value(here))}`), share);
      item.append(row);
      return item;
    });
    if (inner.length > LISTED) {
      const rest = inner.slice(LISTED).reduce((sum, each) => sum + value(each), 0), item = element("li", "");
      item.append(element("div", "row", `${inner.length - LISTED} smaller ones, ${bytes(rest)}`));
      rows.push(item);
    }
    $("here").replaceChildren(...rows);
  }

  function crumbs() {
    const items = [root, ...path(here)].map((each) => {
      const item = element("li", "");
      if (each === here) {
        const now = element("span", "", each.name);
        now.setAttribute("aria-current", "location");
        item.append(now);
      } else {
        const button = element("button", "", each.name);
        button.type = "button";
        button.addEventListener("click", () => go(each));
        item.append(button);
      }
      return item;
    });
    $("crumbs").firstElementChild.replaceChildren(...items);
  }

  function tell(node) {
    const names = path(node).map((each) => each.name);
    const words = [`${names.join(" › ") || node.name}${node.what ? `, ${node.what}` : ""}: ${bytes(node.size)}${facts.comparison ? "" : " unpacked"}`];
    if (node.kept !== undefined && !facts.comparison) words.push(`${node.kind === "layer" || facts.exact ? "" : "about "}${bytes(node.kept)} stored`);
    if (node.state) words.push(node.state);
    words.push(`${percent(value(node), value(root))} of all`);
    $("readout").textContent = words.join(", ");
  }

  function show() {
    crumbs();
    draw();
    list();
    tell(here);
  }

  function go(node, keep) {
    here = node;
    if (!keep) history.pushState(null, "", node === root ? "#map" : `#map=${path(node).map((each) => encodeURIComponent(each.name)).join("/")}`);
    show();
  }

  function follow() {
    const match = /^#map(?:=(.*))?$/.exec(location.hash);
    if (!match) return;
    let node = root;
    for (const part of match[1] ? match[1].split("/") : []) {
      let name = part;
      try { name = decodeURIComponent(part); } catch { /* not one of ours */ }
      node = node.in.find((each) => each.name === name) || node;
    }
    go(node, true);
    if (match[1]) $("map").scrollIntoView();
  }

  function search() {
    const word = $("search").value.trim().toLowerCase();
    hits = word ? new Set() : null;
    let count = 0, size = 0;
    const look = (node, inside) => {
      const found = node.name.toLowerCase().includes(word);
      if (found && !inside) [count, size] = [count + 1, size + value(node)];
      let any = found || inside;
      for (const each of node.in) any = look(each, found || inside) || any;
      if (any) hits.add(node);
      return any;
    };
    if (word) for (const each of root.in) look(each, false);
    $("told").textContent = word ? `${count} found, ${bytes(size)}` : "";
    draw();
  }

  const up = () => { if (here.up) go(here.up); };
  const boxOf = (event) => event.target.closest && event.target.closest(".box");

  $("boxes").addEventListener("click", (event) => {
    const box = event.target.closest("#boxes > .box");
    const node = box && drawn[box.dataset.at];
    if (!node) return;
    if (node.in.length && node !== here) {
      go(node);
      const first = $("boxes").querySelector("button");
      if (event.detail === 0 && first) first.focus();
    } else tell(node);
  });
  $("boxes").addEventListener("pointermove", (event) => { const box = boxOf(event); if (box) tell(drawn[box.dataset.at]); });
  $("boxes").addEventListener("pointerleave", () => tell(here));
  $("boxes").addEventListener("focusin", (event) => { const box = boxOf(event); if (box) tell(drawn[box.dataset.at]); });
  $("boxes").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const all = [...$("boxes").querySelectorAll("button")], next = all[all.indexOf(document.activeElement) + step];
    if (next) {
      all.forEach((each) => { each.tabIndex = -1; });
      next.tabIndex = 0;
      next.focus();
    }
  });
  $("map").addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    if (event.target === $("search") && $("search").value) { $("search").value = ""; search(); return; }
    const inside = $("boxes").contains(document.activeElement);
    up();
    const first = $("boxes").querySelector("button");
    if (inside && first) first.focus();
  });
  $("search").addEventListener("input", search);
  document.querySelectorAll("input[name=size]").forEach((each) => each.addEventListener("change", () => {
    mode = each.value;
    root = mode === "added" ? (added = added || byAdded(whole)) : whole;
    here = root;
    $("search").value = "";
    hits = null;
    $("told").textContent = each.title;
    show();
  }));
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);
  window.addEventListener("resize", draw);

  if ($("tables")) $("tables").open = false;
  if (!whole.size) return; // which the page says in words
  if ($("picture")) $("picture").setAttribute("hidden", ""); // it is for paper
  $("tools").hidden = $("zoom").hidden = false;
  show();
  follow();
})();
