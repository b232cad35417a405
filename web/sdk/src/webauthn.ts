import { fromBase64url, toBase64url } from "./bytes.ts";

interface DescriptorJSON {
  id: string;
  type: PublicKeyCredentialType;
  transports?: AuthenticatorTransport[];
}

interface CreationJSON
  extends Omit<PublicKeyCredentialCreationOptions, "challenge" | "user" | "excludeCredentials"> {
  challenge: string;
  user: { id: string; name: string; displayName: string };
  excludeCredentials?: DescriptorJSON[];
}

interface RequestJSON extends Omit<PublicKeyCredentialRequestOptions, "challenge" | "allowCredentials"> {
  challenge: string;
  allowCredentials?: DescriptorJSON[];
}

/** Reads the JSON form of creation options (WebAuthn level 3), bare or inside `publicKey`. */
export function creationOptions(json: unknown): PublicKeyCredentialCreationOptions {
  const options = unwrap<CreationJSON>(json);
  return {
    ...options,
    challenge: fromBase64url(options.challenge),
    user: { ...options.user, id: fromBase64url(options.user.id) },
    excludeCredentials: descriptors(options.excludeCredentials),
  };
}

/** Reads the JSON form of request options, bare or inside `publicKey`. */
export function requestOptions(json: unknown): PublicKeyCredentialRequestOptions {
  const options = unwrap<RequestJSON>(json);
  return {
    ...options,
    challenge: fromBase64url(options.challenge),
    allowCredentials: descriptors(options.allowCredentials),
  };
}

/** The JSON form of what the authenticator answered. */
export function credentialJSON(credential: PublicKeyCredential): Record<string, unknown> {
  const response = credential.response as AuthenticatorAttestationResponse & AuthenticatorAssertionResponse;
  const fields: Record<string, unknown> = { clientDataJSON: toBase64url(response.clientDataJSON) };
  if (response.attestationObject) {
    fields.attestationObject = toBase64url(response.attestationObject);
    fields.transports = response.getTransports?.() ?? [];
  } else {
    fields.authenticatorData = toBase64url(response.authenticatorData);
    fields.signature = toBase64url(response.signature);
    if (response.userHandle) fields.userHandle = toBase64url(response.userHandle);
  }
  return {
    id: credential.id,
    rawId: toBase64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: fields,
  };
}

function unwrap<T>(json: unknown): T {
  const outer = json as { publicKey?: T };
  return outer.publicKey ?? (json as T);
}

function descriptors(list: DescriptorJSON[] | undefined): PublicKeyCredentialDescriptor[] {
  return (list ?? []).map((d) => ({ ...d, id: fromBase64url(d.id) }));
}
