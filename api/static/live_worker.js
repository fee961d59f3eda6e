// One stream for all tabs of a browser, which may have no more than six connections with a server.

import { listen } from "./live_stream.js";

/** @type {Set<MessagePort>} */
const tabs = new Set();
/** @type {import("./live_stream.js").Told | null} */
let state = null;

addEventListener("connect", (event) => {
  const [tab] = /** @type {MessageEvent} */ (event).ports;
  tabs.add(tab);
  tab.onmessage = () => tabs.delete(tab); // the only thing that a tab has to say is that it goes
  if (state !== null) tab.postMessage(state);
});

listen((told) => {
  if (told.event === "hello" || told.event === "away") state = told;
  for (const tab of tabs) tab.postMessage(told);
});
