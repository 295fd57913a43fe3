/** What the API answers with when it can't: `problem` is the RFC 9457 object. */
export class ApiProblem extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? "the gateway did not answer as expected");
    this.problem = problem;
  }
}

const login = document.getElementById("login");

/** Asks for the token until the gateway takes it. */
const signIn = () =>
  new Promise((resolve) => {
    const form = login.querySelector("form");
    const field = form.elements.token;
    const alert = form.querySelector(".problem");
    form.onsubmit = async (event) => {
      event.preventDefault();
      const answer = await fetch("/session", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ token: field.value.trim() }),
      });
      if (answer.ok) {
        login.close();
        resolve();
      } else {
        alert.textContent = (await answer.json()).detail;
        field.select();
      }
    };
    login.oncancel = (event) => event.preventDefault(); // nothing works without it
    login.showModal();
  });

let signingIn = null;

/** Calls the API; JSON in, JSON out. Throws ApiProblem, or TypeError when the gateway can't be reached. */
export const call = async (method, path, body) => {
  const answer = await fetch(path, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  if (answer.status === 401) {
    signingIn ??= signIn().finally(() => signingIn = null);
    await signingIn;
    return call(method, path, body);
  }
  const text = await answer.text();
  const value = /json/.test(answer.headers.get("content-type") ?? "")
    ? JSON.parse(text)
    : { detail: text || `the answer has status ${answer.status} and no text` };
  if (!answer.ok) throw new ApiProblem(value);
  return value;
};

/**
 * Follows an event stream: `on(type, data)` once for every event; returns how to stop. After the connection was lost it goes
 * on where it was; when the gateway refused it, as one that starts does, it is tried again until `isOver()`.
 */
export const follow = (path, types, on, isOver) => {
  const seen = new Set();
  let source = null;
  let timer = null;
  const open = () => {
    source = new EventSource(path);
    for (const type of types) {
      source.addEventListener(type, (event) => {
        if (type !== "progress") {
          if (seen.has(event.lastEventId)) return;
          seen.add(event.lastEventId);
        }
        on(type, JSON.parse(event.data));
      });
    }
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && !isOver()) timer = setTimeout(open, 3000);
    });
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
};
