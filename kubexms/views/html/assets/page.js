(() => {
  "use strict";
  const form = document.getElementById("filter");
  if (!form) return;
  const sets = JSON.parse(document.getElementById("sets").textContent);
  const every = [...new Set(sets.flat())];
  const known = new Set(every.map((name) => name.toLowerCase()));
  const items = [...document.querySelectorAll(".c")].map((el) => ({
    el,
    set: Number(el.dataset.h),
    module: el.dataset.m,
    action: el.dataset.a,
    risky: "i" in el.dataset,
    text: null,
  }));
  const groups = [...document.querySelectorAll(".g")];
  const sections = [...document.querySelectorAll(".sec")];
  const shown = document.getElementById("shown");
  const none = document.getElementById("none");
  const total = Number(shown.dataset.total);
  const list = document.getElementById("hosts");
  for (const name of every) list.append(new Option(name, name));

  // A whole name means this host alone; * stands for anything; other words may be any part of a name.
  const hostTest = (word) => {
    if (known.has(word)) return (name) => name === word;
    if (!word.includes("*")) return (name) => name.includes(word);
    const parts = word.split("*").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const pattern = new RegExp("^" + parts.join(".*") + "$");
    return (name) => pattern.test(name);
  };

  const wanted = () => {
    const data = new FormData(form);
    const words = (name) => data.get(name).toLowerCase().split(/[\s,]+/).filter(Boolean);
    return {
      q: data.get("q").trim().toLowerCase(),
      hosts: words("host").map(hostTest),
      module: data.get("module"),
      actions: new Set(data.getAll("action")),
      risky: data.has("risky"),
    };
  };

  const apply = () => {
    const want = wanted();
    const active = want.q || want.hosts.length || want.module || want.actions.size || want.risky;
    const sizes = sets.map((set) =>
      want.hosts.length
        ? set.filter((name) => want.hosts.some((test) => test(name.toLowerCase()))).length
        : set.length,
    );
    let changes = 0;
    for (const item of items) {
      let fits =
        sizes[item.set] > 0 &&
        (!want.module || item.module === want.module || item.module.startsWith(want.module + "/")) &&
        (!want.actions.size || want.actions.has(item.action)) &&
        (!want.risky || item.risky);
      if (fits && want.q) {
        item.text ??= item.el.textContent.toLowerCase();
        fits = item.text.includes(want.q);
      }
      item.el.hidden = !fits;
      if (fits) changes += sizes[item.set];
    }
    for (const group of groups) {
      const left = group.querySelectorAll(":scope > .c:not([hidden])").length;
      group.hidden = left === 0;
      if (active && left > 0 && left <= 10 && group.tagName === "DETAILS") group.open = true;
    }
    for (const section of sections) section.hidden = !section.querySelector(".g:not([hidden])");
    none.hidden = changes > 0;
    const all = `${total.toLocaleString("en")} ${total === 1 ? "change" : "changes"}`;
    shown.textContent = active ? `${changes.toLocaleString("en")} of ${all} match.` : `${all}.`;
    remember();
  };

  // The filter is in the address, so that a link can point at what somebody sees.
  const remember = () => {
    const said = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) said.append(name, value);
    const hash = said.toString();
    if (!hash && !location.hash.includes("=")) return;
    try {
      history.replaceState(null, "", hash ? "#" + hash : location.pathname + location.search);
    } catch {
      // some viewers of local files forbid it
    }
  };

  const recall = () => {
    const said = new URLSearchParams(location.hash.slice(1));
    for (const field of form.elements) {
      if (!field.name) continue;
      if (field.type === "checkbox") field.checked = said.getAll(field.name).includes(field.value);
      else field.value = said.get(field.name) ?? "";
    }
  };

  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.hidden || target.closest("[hidden]")) {
      form.reset();
      apply();
    }
    for (let el = target; el; el = el.parentElement) if (el.tagName === "DETAILS") el.open = true;
    if (target.tagName !== "DETAILS") for (const el of target.querySelectorAll(":scope > details")) el.open = true;
    target.scrollIntoView();
  };

  let timer = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(apply, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  // Not every browser prints what is folded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("main details:not([open])")].filter((el) => !el.closest("[hidden]"));
    for (const el of folded) el.open = true;
  });
  addEventListener("afterprint", () => {
    for (const el of folded) el.open = false;
  });
  const foldAll = (open) => {
    for (const el of document.querySelectorAll(".c, details.g")) if (!el.hidden) el.open = open;
  };
  document.getElementById("unfold").addEventListener("click", () => foldAll(true));
  document.getElementById("fold").addEventListener("click", () => foldAll(false));
  addEventListener("hashchange", () => {
    if (location.hash.includes("=")) {
      recall();
      apply();
    } else reveal();
  });

  form.hidden = false;
  if (location.hash.includes("=")) recall();
  apply();
  reveal();
})();
