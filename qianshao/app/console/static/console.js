// Keeps the page current: asks for it again and swaps only what changed, so that nothing flickers.
"use strict";
(() => {
  const every = 10000;
  const regions = ["header .asof", "#live", ".foot"];
  async function refresh() {
    if (document.hidden) return;
    try {
      const reply = await fetch(location.href, { cache: "no-cache", credentials: "omit" });
      if (!reply.ok) return;
      const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
      for (const region of regions) {
        const here = document.querySelector(region);
        const there = fresh.querySelector(region);
        if (!here || !there || here.innerHTML === there.innerHTML) continue;
        if (here.contains(document.activeElement) && document.activeElement !== here) continue;
        here.replaceChildren(...there.childNodes);
      }
      document.title = fresh.title;
      document.documentElement.removeAttribute("data-stale");
    } catch {
      document.documentElement.setAttribute("data-stale", "");
    }
  }
  setInterval(refresh, every);
  document.addEventListener("visibilitychange", refresh);
})();
