// What is held under the reader. A scanner types: many keys, one soon after the other, and Enter at the end.
const BETWEEN_KEYS = 500;
const SHORTEST = 4;

function listenToScanner(taken) {
  let keys = "";
  let last = 0;
  document.addEventListener("keydown", (event) => {
    const now = event.timeStamp;
    if (now - last > BETWEEN_KEYS) keys = "";
    last = now;
    if (event.key === "Enter" && keys.length >= SHORTEST) {
      const scanned = keys;
      keys = "";
      if (taken(scanned)) event.preventDefault();
    } else if (event.key.length === 1 && !event.ctrlKey && !event.altKey && !event.metaKey) {
      keys += event.key;
    }
  }, { capture: true });
}

/** The flight and seat of a boarding pass (IATA BCBP), to show what was read; none of what is no pass. */
function flightOf(scanned) {
  if (!/^M\d/.test(scanned) || scanned.length < 58) return null;
  const part = (from, to) => scanned.slice(from, to).trim();
  const seat = part(48, 52).replace(/^0+/, "");
  return `${part(36, 39)} ${part(39, 44).replace(/^0+/, "")}, ${part(30, 33)} – ${part(33, 36)}${seat ? `, ${seat}` : ""}`;
}

async function digest(words) {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(words));
  return Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The camera, where the browser reads codes itself; each is taken once until another one is held there. */
async function listenToCamera(video, taken) {
  if (!("BarcodeDetector" in globalThis)) return false;
  const formats = (await BarcodeDetector.getSupportedFormats()).filter((it) => ["qr_code", "aztec", "pdf417"].includes(it));
  if (formats.length === 0) return false;
  const detector = new BarcodeDetector({ formats });
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { max: 1280 }, height: { max: 720 } } });
  await video.play();
  let last = "";
  setInterval(async () => {
    const [code] = await detector.detect(video).catch(() => []);
    if (code && code.rawValue !== last && taken(code.rawValue)) last = code.rawValue;
    if (!code) last = "";
  }, 500);
  return true;
}
