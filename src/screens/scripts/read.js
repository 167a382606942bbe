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

/** Codes that a browser reads from a picture by itself; none where it reads none. */
async function codesOfCamera() {
  if (!("BarcodeDetector" in globalThis)) return [];
  const known = await BarcodeDetector.getSupportedFormats().catch(() => []);
  return known.filter((it) => ["qr_code", "aztec", "pdf417"].includes(it));
}

/** A code is the same one while it is held there, even where a picture of it is missed now and then. */
const HELD_FOR = 3_000;

/** Reads codes from the camera: each is taken once. Fails where the camera may not be used. Returns what shows its picture. */
async function listenToCamera(formats, taken, facingMode = "user") {
  const detector = new BarcodeDetector({ formats });
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode, width: { max: 1280 }, height: { max: 720 } } });
  const show = () => {
    const video = el("video", { class: "k-video", playsinline: true, "aria-hidden": "true" });
    Object.assign(video, { muted: true, srcObject: stream });
    video.play().catch(() => {});
    return video;
  };
  // One that stands in no page, as taking it out of one would stop it.
  const video = show();
  let held = { code: "", at: 0 };
  setInterval(async () => {
    const [code] = await detector.detect(video).catch(() => []);
    const now = Date.now();
    if (code?.rawValue === held.code || (code && taken(code.rawValue))) held = { code: code.rawValue, at: now };
    else if (now - held.at > HELD_FOR) held.code = "";
  }, 500);
  return show;
}
