// The stream of changes from the server: opened anew whenever it ends, and known to be silent.

const TOPICS = ["readings", "findings", "edits", "quarantine", "gateways", "months", "deliveries"];
const SILENCE = 35_000; // ms: the server says "ping" after 15 s without a change
const LOOK = 5_000; // ms

/**
 * @typedef {object} Told What a page is told: a topic, "hello" where anything may have changed, or "away".
 * @property {string} event
 * @property {number} heard when the server was heard last, in ms since 1970
 */

/** @param {(told: Told) => void} tell @returns {() => void} what ends it */
export function listen(tell) {
  let heard = Date.now();
  let away = false;
  let source = open();

  function open() {
    const opened = new EventSource("/events");
    for (const event of ["hello", "ping", ...TOPICS]) {
      opened.addEventListener(event, () => {
        heard = Date.now();
        away = false;
        tell({ event, heard });
      });
    }
    return opened;
  }

  const looking = setInterval(() => {
    // a stream that was refused is closed for good; one that hangs tells nobody
    const closed = source.readyState === EventSource.CLOSED;
    if (!closed && Date.now() - heard < SILENCE) return;
    if (!away) tell({ event: "away", heard });
    away = true;
    if (!closed && source.readyState === EventSource.CONNECTING) return;
    source.close();
    source = open();
  }, LOOK);

  return () => {
    clearInterval(looking);
    source.close();
  };
}
