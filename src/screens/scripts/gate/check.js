// Tokens are checked here as the gateway checks them: everything is pinned, and nothing in a token chooses how. Where it
// was granted is no matter to a gateway, and none here.
const MOST_BYTES = 4_096;
const APART = 30;
const LONGEST = 86_400;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of base64url in its one canonical form; bits that carry nothing must be zero. */
function bytesOf(part) {
  const bytes = Uint8Array.from(atob(part.replaceAll("-", "+").replaceAll("_", "/")), (sign) => sign.charCodeAt(0));
  const again = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  if (part === "" || again !== part) throw new SyntaxError("not canonical base64url");
  return bytes;
}

const sorted = (value) => (Array.isArray(value) ? value.map(sorted) : value !== null && typeof value === "object" ? Object.fromEntries(Object.keys(value).sort().map((name) => [name, sorted(value[name])])) : value);

/** An object in canonical JSON (RFC 8785): so no member stands twice. */
function objectOf(bytes) {
  const words = utf8.decode(bytes);
  const value = JSON.parse(words);
  if (value === null || typeof value !== "object" || Array.isArray(value) || JSON.stringify(sorted(value)) !== words) throw new SyntaxError("not a canonical object");
  return value;
}

/** The parts of a token; null where it is none of ours at all. */
function partsOf(token) {
  if (token.length > MOST_BYTES) return null;
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const [head, claims, signature] = parts.map(bytesOf);
    const header = objectOf(head);
    if (header.typ !== "eligibility+jwt" || typeof header.kid !== "string") return null;
    return { header, claims, signature, signed: new TextEncoder().encode(`${parts[0]}.${parts[1]}`) };
  } catch {
    return null;
  }
}

const importKey = ({ kty, crv, x }) => crypto.subtle.importKey("jwk", { kty, crv, x }, { name: "Ed25519" }, false, ["verify"]);

/** False where this browser knows no Ed25519: it then checks nothing by itself. */
async function canCheck() {
  try {
    return Boolean(await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]));
  } catch {
    return false;
  }
}

function claimsOf(bytes) {
  const claims = objectOf(bytes);
  const isText = (name) => typeof claims[name] === "string" && claims[name] !== "";
  const isWhole = (name) => Number.isSafeInteger(claims[name]);
  const holds = ["iss", "aud", "jti", "perk", "tier"].every(isText) && ["iat", "nbf", "exp"].every(isWhole);
  const flagged = ["online_only", "paid"].every((name) => [undefined, true, false].includes(claims[name]));
  if (!holds || !flagged || !(claims.party === undefined || (isWhole("party") && claims.party > 0))) throw new SyntaxError("not our claims");
  return claims;
}

/**
 * Checks a token by the keys that were fetched. Returns a `fault`: "unreadable", "unable", "unknown_key", "forged",
 * "wrong_door", "not_yet_valid", "expired", or none; and the `claims` where they are proved.
 */
async function check(token) {
  const parts = partsOf(token);
  if (!parts) return { fault: "unreadable" };
  // Not "is it a known algorithm", but "is it the one": and no other member of the header is taken.
  if (parts.header.alg !== "EdDSA" || Object.keys(parts.header).length !== 3) return { fault: "forged" };
  if (!isAble) return { fault: "unable" };
  const key = door?.keys.keys.find(({ kid }) => kid === parts.header.kid);
  if (!key) return { fault: "unknown_key" };
  let claims;
  try {
    if (!(await crypto.subtle.verify({ name: "Ed25519" }, await importKey(key), parts.signature, parts.signed))) return { fault: "forged" };
    claims = claimsOf(parts.claims);
  } catch {
    return { fault: "forged" };
  }
  if (claims.iss !== door.issuer || claims.exp - claims.iat > LONGEST) return { fault: "forged" };
  if (claims.aud !== door.audience) return { fault: "wrong_door", claims };
  const now = Math.floor(gatewayTime() / 1_000);
  if (now >= claims.exp + APART) return { fault: "expired", claims };
  if (now < Math.max(claims.nbf, claims.iat) - APART) return { fault: "not_yet_valid", claims };
  return { claims };
}
