const DATABASE = "parley";
const STORE = "certificates";
const LIFETIME_MS = 365 * 24 * 3_600_000;
const RENEW_AHEAD_MS = 24 * 3_600_000;

/**
 * The device's ECDSA P-256 certificate for calls. It is kept in IndexedDB, so
 * that a reload in the middle of a call keeps the fingerprint; where that
 * store is missing it lives as long as the page.
 */
export async function deviceCertificate(device: string): Promise<RTCCertificate> {
  const kept = await read(device).catch(() => undefined);
  if (kept && kept.expires > Date.now() + RENEW_AHEAD_MS) return kept;
  const algorithm = { name: "ECDSA", namedCurve: "P-256", expires: LIFETIME_MS };
  const fresh = await RTCPeerConnection.generateCertificate(algorithm as EcKeyGenParams);
  await write(device, fresh).catch(() => undefined);
  return fresh;
}

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function transact<T>(
  mode: IDBTransactionMode,
  run: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const db = await database();
  try {
    return await new Promise<T>((resolve, reject) => {
      const request = run(db.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  } finally {
    db.close();
  }
}

function read(device: string): Promise<RTCCertificate | undefined> {
  return transact("readonly", (store) => store.get(device));
}

function write(device: string, certificate: RTCCertificate): Promise<unknown> {
  return transact("readwrite", (store) => store.put(certificate, device));
}
