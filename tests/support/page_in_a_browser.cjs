// Opens a page in Chromium, fills in nothing, sends the form, and prints what was seen as JSON: node FILE CHROMIUM URL SCREENSHOT-FOLDER
"use strict";
const puppeteer = require("puppeteer-core");
const axe = require("axe-core");
const [, , chromium, url, folder] = process.argv;
const SIZES = [[360, 740], [800, 1000], [1440, 900]];

(async () => {
  const browser = await puppeteer.launch({ executablePath: chromium, headless: true, args: ["--no-sandbox"] });
  const seen = { requests: [], errors: [], faults: [], sizes: {} };
  try {
    for (const theme of ["light", "dark"]) {
      for (const [width, height] of SIZES) {
        const page = await browser.newPage();
        page.on("request", (request) => seen.requests.push(request.url()));
        page.on("console", (message) => { if (message.type() === "error") seen.errors.push(message.text()); });
        page.on("pageerror", (error) => seen.errors.push(String(error)));
        await page.setViewport({ width, height });
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
        await page.goto(url, { waitUntil: "load" });
        seen.title = await page.title();
        seen.sample = await page.$eval("#body", (each) => each.value);
        seen.routes = await page.$$eval("#route option", (all) => all.map((each) => each.textContent));
        await page.click("form button");
        await page.waitForFunction(() => /^[0-9]{3} |^No answer/.test(document.getElementById("status").textContent));
        seen.status = await page.$eval("#status", (each) => each.textContent);
        seen.answer = await page.$eval("#answer", (each) => each.textContent);
        seen.curl = await page.$eval("#curl", (each) => each.textContent);
        const before = await page.$eval("#fault", (each) => each.textContent);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        seen.sizes[`${theme} ${width}`] = { wide, height };
        const context = await browser.createBrowserContext();
        await context.close();
        const session = await page.createCDPSession();
        await session.send("Page.setBypassCSP", { enabled: true });
        await page.evaluate(axe.source);
        const found = await page.evaluate(() => window.axe.run());
        seen.faults.push(...found.violations.map((each) => `${theme} ${width}: ${each.id}: ${each.help}: ${each.nodes[0].html}`));
        await page.screenshot({ path: `${folder}/${theme}-${width}.png`, fullPage: true });
        await page.focus("#body");
        await page.keyboard.type("{{");
        seen.complaint = await page.$eval("#fault", (each) => each.textContent);
        seen.quiet = before === "";
        await page.close();
      }
    }
  } finally {
    await browser.close();
  }
  console.log(JSON.stringify(seen));
})().catch((error) => { console.error(error); process.exit(1); });
