// Opens a report in Chromium, uses it as people do, and prints what was seen as JSON: node FILE CHROMIUM URL SCREENSHOT-FOLDER
"use strict";
const puppeteer = require("puppeteer-core");
const axe = require("axe-core");
const [, , chromium, url, folder] = process.argv;
const SIZES = [[390, 844], [820, 1180], [1440, 900]];

// The boxes of the first level: where they are, and whether one lies over another.
function overlaps() {
  const all = [...document.querySelectorAll("#boxes > .box")].map((each) => each.getBoundingClientRect());
  const room = document.getElementById("boxes").getBoundingClientRect();
  let over = 0, area = 0;
  all.forEach((one, at) => {
    area += one.width * one.height;
    for (const other of all.slice(at + 1)) {
      const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
      if (wide > 0.5 && high > 0.5) over += 1;
    }
  });
  return { over, filled: area / (room.width * room.height), boxes: all.length, drawn: document.querySelectorAll("#boxes .box").length };
}

async function judge(page, name, seen) {
  const found = await page.evaluate(() => window.axe.run());
  seen.faults.push(...found.violations.map((each) => `${name}: ${each.id}: ${each.help}: ${each.nodes[0].html}`));
}

async function look(browser, theme, [width, height], seen) {
  const page = await browser.newPage();
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("console", (message) => { if (message.type() === "error") seen.errors.push(message.text()); });
  page.on("pageerror", (error) => seen.errors.push(String(error)));
  await page.setViewport({ width, height });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  await page.goto(url, { waitUntil: "load" });
  await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint").length > 0);
  const name = `${theme} ${width}`;
  seen.painted[name] = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0].startTime);
  seen.wide[name] = await page.evaluate(() => document.documentElement.scrollWidth);
  seen.map[name] = await page.evaluate(overlaps);
  const session = await page.createCDPSession();
  await session.send("Page.setBypassCSP", { enabled: true });
  await page.evaluate(axe.source);
  await judge(page, name, seen);
  await page.screenshot({ path: `${folder}/${theme}-${width}.png`, fullPage: true });
  if (width === SIZES[0][0]) {
    await page.evaluate(() => document.querySelectorAll("details").forEach((each) => { each.open = true; }));
    await judge(page, `${name}, unfolded`, seen);
  }
  return page;
}

async function use(page, seen) {
  const place = () => page.evaluate(() => [location.hash, document.querySelector("#crumbs [aria-current]").textContent]);
  seen.places = [await place()];
  await page.focus("#boxes > button");
  await page.keyboard.press("Enter");
  seen.places.push(await place());
  await page.keyboard.press("ArrowRight");
  seen.moved = await page.evaluate(() => document.activeElement.matches("#boxes > button") || document.querySelectorAll("#boxes > button").length === 1);
  await page.keyboard.press("Escape");
  seen.places.push(await place());
  for (const mode of ["unpacked", "added", "stored"]) {
    await page.click(`label:has(input[value=${mode}])`);
    seen[mode] = await page.$$eval("#here .label", (all) => all.map((each) => each.textContent));
  }
  await page.type("#search", "</SCRIPT>");
  seen.told = await page.$eval("#told", (each) => each.textContent);
  await judge(page, "searched", seen);
  await page.keyboard.press("Escape");
  await page.evaluate(() => { location.hash = "#map=" + ["wheels", "pandas 2.2"].map(encodeURIComponent).join("/"); });
  await page.waitForFunction(() => document.querySelector("#crumbs [aria-current]").textContent !== "large");
  seen.places.push(await place());
  await page.goBack();
}

(async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox"] });
  const seen = { requests: [], errors: [], faults: [], painted: {}, wide: {}, map: {} };
  try {
    for (const theme of ["light", "dark"]) {
      for (const size of SIZES) {
        const page = await look(browser, theme, size, seen);
        if (theme === "dark" && size === SIZES[2]) await use(page, seen);
        await page.close();
      }
    }
    const plain = await browser.newPage();
    await plain.setJavaScriptEnabled(false);
    await plain.goto(url, { waitUntil: "load" });
    seen.plain = await plain.evaluate(() => [document.querySelectorAll("#picture text").length, document.querySelectorAll("table").length, document.getElementById("tools").offsetHeight]);
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
})().catch((error) => { console.error(error); process.exit(1); });
