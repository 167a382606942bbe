// A door, in English: whoever stands there works here. The phone's clock may be wrong: instants are the gateway's.
const page = document.body.dataset;
let skew = 0;
const gatewayTime = () => Date.now() + skew;

/** The state that the gateway gave last, with when that was; none before the first time. */
let door = null;
/** Since when the gateway could not be asked. */
let offlineSince = null;
const zoneOf = () => door?.zone;

const clockOf = (at, more = {}) => new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: zoneOf(), ...more }).format(at);
const dayOf = (at) => new Intl.DateTimeFormat("en-CA", { timeZone: zoneOf() }).format(at);
/** The time of an instant, with its day where that is another one. */
const timeOf = (at) => (dayOf(at) === dayOf(gatewayTime()) ? clockOf(at) : clockOf(at, { day: "numeric", month: "short" }));
const counted = (number, one, many) => `${new Intl.NumberFormat("en").format(number)} ${number === 1 ? one : many}`;
