// Two rising notes for yes, one low for no. `/kiosk#sound=off` turns them off in this browser, `/kiosk#sound=on` on again.
const SOUND = "sound";
let audio = null;

function chooseSound() {
  const asked = /^#sound=(on|off)$/.exec(location.hash)?.[1];
  if (asked) localStorage.setItem(SOUND, asked);
}

/** A browser makes no sound before a first touch or key. */
function allowSound() {
  if (localStorage.getItem(SOUND) === "off") return;
  try {
    audio ??= new AudioContext();
    if (audio.state === "suspended") audio.resume().catch(() => {});
  } catch {
    // A kiosk without a loudspeaker says it all on its screen.
  }
}

function sound(form) {
  if (localStorage.getItem(SOUND) === "off" || audio?.state !== "running") return;
  const notes = form === "granted" ? [[660, 0], [880, 0.14]] : [[220, 0]];
  for (const [pitch, from] of notes) {
    const [tone, gain] = [audio.createOscillator(), audio.createGain()];
    tone.frequency.value = pitch;
    gain.gain.setValueAtTime(0.08, audio.currentTime + from);
    gain.gain.exponentialRampToValueAtTime(0.001, audio.currentTime + from + 0.2);
    tone.connect(gain).connect(audio.destination);
    tone.start(audio.currentTime + from);
    tone.stop(audio.currentTime + from + 0.22);
  }
}
