// What pages do beyond their forms and links: say progress aloud, keep what was opened, and upload side by side.
"use strict";

(() => {
  document.documentElement.classList.add("script");
  const trouble = document.getElementById("trouble");

  function complain(text) {
    trouble.textContent = text;
    trouble.hidden = !text;
  }

  function detailOf(text) {
    try {
      const detail = JSON.parse(text).detail;
      return typeof detail === "string" ? detail : "The request was refused.";
    } catch {
      return "";
    }
  }

  // Nobody looks: nothing is asked.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("htmx:sendError", () => complain("The server cannot be reached. Trying again."));
  document.addEventListener("htmx:responseError", (event) => {
    const xhr = event.detail.xhr;
    complain(detailOf(xhr.responseText) || `The server answered ${xhr.status}. Trying again.`);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) complain("");
  });

  // A part that is drawn anew is closed again, and read aloud each time: neither is wanted.
  let open = false;
  let said = null;
  document.addEventListener("toggle", (event) => {
    if (event.target.id === "why" && event.target.isConnected) open = event.target.open;
  }, true);
  document.addEventListener("htmx:afterSwap", () => {
    const why = document.getElementById("why");
    if (why) why.open = open;
    const now = document.querySelector("[data-say]")?.dataset.say ?? null;
    if (said !== null && now !== null && now !== said) document.getElementById("said").textContent = now;
    said = now;
  });
  said = document.querySelector("[data-say]")?.dataset.say ?? null;

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  const form = document.getElementById("new");
  if (form) newBatch(form);

  function newBatch(form) {
    const SIDE_BY_SIDE = 4;
    const TRIES = 6;
    const SHOWN = 200;
    const input = document.getElementById("files");
    const drop = document.getElementById("drop");
    const start = document.getElementById("start");
    const list = document.getElementById("list");
    const bar = document.getElementById("sent");
    const about = document.getElementById("about");
    const configuration = document.getElementById("configuration");
    const largest = Number(form.dataset.largest);
    const files = new Map();
    let place = null;
    let busy = false;
    input.required = false;

    const describe = () => { about.textContent = configuration.selectedOptions[0]?.dataset.about ?? ""; };
    configuration.addEventListener("change", describe);
    describe();

    const bytes = (n) => {
      const units = ["B", "kB", "MB", "GB", "TB"];
      let unit = 0;
      while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit += 1; }
      return `${n.toFixed(unit && n < 10 ? 1 : 0)} ${units[unit]}`;
    };

    function take(file, path) {
      if (files.has(path)) return;
      const one = { file, path, sent: 0, state: "waiting", why: "", row: null };
      if (file.size > largest) { one.state = "refused"; one.why = `larger than ${bytes(largest)}`; }
      files.set(path, one);
      if (files.size <= SHOWN) {
        one.row = document.createElement("li");
        one.row.append(document.createElement("b"), document.createElement("span"));
        one.row.firstChild.textContent = path;
        list.append(one.row);
      }
      show(one);
    }

    function show(one) {
      if (!one.row) return;
      const words = { waiting: bytes(one.file.size), sending: "uploading", sent: "uploaded", refused: one.why };
      one.row.lastChild.textContent = words[one.state];
      one.row.className = one.state;
    }

    function sum() {
      const all = [...files.values()];
      const total = all.reduce((n, one) => n + one.file.size, 0);
      const ended = all.filter((one) => one.state === "sent").length;
      const refused = all.filter((one) => one.state === "refused").length;
      document.getElementById("chosen").hidden = !all.length;
      bar.value = total ? all.reduce((n, one) => n + Math.min(one.sent, one.file.size), 0) / total : 0;
      const count = `${all.length.toLocaleString("en")} ${all.length === 1 ? "file" : "files"}, ${bytes(total)}`;
      const more = all.length > SHOWN ? `, the first ${SHOWN} are listed` : "";
      const state = busy || ended ? `: ${ended.toLocaleString("en")} uploaded` : "";
      const bad = refused ? `, ${refused.toLocaleString("en")} cannot be uploaded` : "";
      document.getElementById("sum").textContent = count + more + state + bad;
    }

    input.addEventListener("change", () => {
      for (const file of input.files) take(file, file.webkitRelativePath || file.name);
      sum();
    });
    for (const name of ["dragenter", "dragover"]) {
      drop.addEventListener(name, (event) => { event.preventDefault(); drop.classList.add("over"); });
    }
    for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
    drop.addEventListener("drop", async (event) => {
      event.preventDefault();
      const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
      const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
      const plain = items.map((item) => item.getAsFile());
      for (const [index, entry] of entries.entries()) {
        if (entry?.isDirectory) await walk(entry);
        else if (plain[index]) take(plain[index], plain[index].name);
      }
      sum();
    });

    async function walk(folder) {
      const reader = folder.createReader();
      for (;;) {
        const some = await new Promise((good, bad) => reader.readEntries(good, bad));
        if (!some.length) return;
        for (const entry of some) {
          if (entry.name.startsWith(".")) continue;
          if (entry.isDirectory) await walk(entry);
          else take(await new Promise((good, bad) => entry.file(good, bad)), entry.fullPath.replace(/^\//, ""));
        }
      }
    }

    function send(url, body, progressed) {
      return new Promise((answer) => {
        const xhr = new XMLHttpRequest();
        xhr.open("POST", url);
        xhr.setRequestHeader("Accept", "application/json");
        if (progressed) xhr.upload.addEventListener("progress", (event) => progressed(event.loaded));
        xhr.addEventListener("loadend", () => answer(xhr));
        xhr.send(body);
      });
    }

    const rest = (seconds) => new Promise((done) => { setTimeout(done, seconds * 1000); });

    // What may be better in a moment is sent again; each of these requests may come twice.
    async function ask(url, body, progressed) {
      for (let tries = 1; ; tries += 1) {
        const xhr = await send(url, body, progressed);
        if (xhr.status === 201) return JSON.parse(xhr.responseText);
        if (xhr.status === 401) { busy = false; window.location.reload(); return new Promise(() => {}); }
        const later = xhr.status === 0 || xhr.status === 429 || xhr.status === 503;
        if (!later || tries >= TRIES) {
          throw new Error(detailOf(xhr.responseText) || (xhr.status ? `answer ${xhr.status}` : "no connection"));
        }
        await rest(Math.min(Number(xhr.getResponseHeader("Retry-After")) || tries, 30));
      }
    }

    async function upload(one) {
      one.state = "sending";
      show(one);
      const body = new FormData();
      body.append("unique_id", one.path);
      body.append("display_name", one.path);
      body.append("upload_file", one.file, one.file.name);
      try {
        await ask(place.files, body, (loaded) => { one.sent = loaded; sum(); });
        one.state = "sent";
        one.sent = one.file.size;
      } catch (error) {
        one.state = "refused";
        one.sent = 0;
        one.why = error.message;
      }
      show(one);
      sum();
    }

    async function run() {
      place ??= await ask(form.dataset.directories, new URLSearchParams({ name: form.elements.name.value }));
      const waiting = [...files.values()].filter((one) => one.state === "waiting");
      const next = async () => { for (let one; (one = waiting.shift());) await upload(one); };
      await Promise.all(Array.from({ length: SIDE_BY_SIDE }, next));
      const all = [...files.values()];
      if (!all.some((one) => one.state === "sent")) throw new Error("No file could be uploaded.");
      const refused = all.filter((one) => one.state === "refused").length;
      if (refused && !window.confirm(`${refused} of ${all.length} files could not be uploaded. Start without them?`)) {
        throw new Error("Nothing was started. Press the button again to try the files once more.");
      }
      const made = await ask(form.dataset.batches, new URLSearchParams({
        once: form.elements.once.value,
        configuration: configuration.value,
        directory: place.id,
      }));
      busy = false;
      window.location.assign(made.page);
    }

    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      if (!files.size) { complain("Choose at least one file."); return; }
      complain("");
      busy = true;
      start.disabled = true;
      for (const one of files.values()) {
        if (one.state === "refused" && one.file.size <= largest) { one.state = "waiting"; show(one); }
      }
      try {
        await run();
      } catch (error) {
        complain(error.message);
        busy = false;
        start.disabled = false;
      }
      sum();
    });
    window.addEventListener("beforeunload", (event) => { if (busy) event.preventDefault(); });
    window.addEventListener("pageshow", () => { start.disabled = busy; });
  }
})();
