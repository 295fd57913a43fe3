import { ApiProblem } from "./api.js";

/** An optional field that is left empty is left to the API: its placeholder says to what. */
const named = (form) =>
  [...form.elements].filter(({ name, dataset, value, validity }) =>
    name && !("optional" in dataset && value === "" && !validity.badInput)
  );

/** Fields without a usable value: left out, they would become defaults of the API that the form doesn't show. */
const missing = (form) =>
  named(form).filter(({ value }) => value.trim() === "").map(({ name, validity }) => ({
    field: name,
    message: validity.badInput ? "must be a number" : "is required",
  }));

/** The form's values as the API wants them: numbers as numbers, and JSON as what it stands for. */
const valuesOf = (form) =>
  Object.fromEntries(
    named(form).map((field) => [
      field.name,
      field.type === "number"
        ? field.valueAsNumber
        : "json" in field.dataset
        ? JSON.parse(field.value)
        : field.value.trim(),
    ]),
  );

const clear = (form) => {
  form.querySelector(".problem").textContent = "";
  for (const note of form.querySelectorAll(".error")) note.remove();
  for (const field of form.elements) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
};

/** Shows what is wrong at the fields it is wrong with, the rest below; the first of them gets the focus. */
const show = (form, { detail, title, errors = [] }) => {
  const rest = errors.filter(({ field, message }) => {
    const input = form.elements[field];
    if (!input) return true;
    const note = Object.assign(document.createElement("small"), {
      className: "error",
      id: `${form.id}-${field}-error`,
      textContent: message,
    });
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", note.id);
    input.closest("details")?.setAttribute("open", "");
    input.after(note);
    return false;
  });
  const general = errors.length === 0
    ? detail ?? title
    : rest.map(({ field, message }) => `${field}: ${message}`).join("; ");
  form.querySelector(".problem").textContent = general;
  form.querySelector("[aria-invalid]")?.focus();
};

/**
 * Sends the form with `send(values)` and shows what the API finds wrong with it. Where `doubt(values)` gives a sentence, it is
 * shown first, and the form is sent by a second click on the button, which is called `label` meanwhile.
 */
export const wire = (form, send, { doubt = () => undefined, label = "" } = {}) => {
  const button = form.querySelector(".primary");
  const usual = button.textContent;
  let shown; // the doubt that the next click overrules
  const forget = () => {
    if (shown === undefined) return;
    shown = undefined;
    button.textContent = usual;
    clear(form);
  };
  form.addEventListener("input", forget);
  form.querySelector("[data-closes]").addEventListener("click", forget);
  // a double click is one click, and no answer to what its first half asks
  button.addEventListener("click", (event) => event.detail > 1 && event.preventDefault());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clear(form);
    const errors = missing(form);
    if (errors.length > 0) return show(form, { errors });
    button.disabled = true;
    try {
      const values = valuesOf(form);
      const sentence = await doubt(values);
      if (sentence !== shown) {
        forget();
        if (sentence !== undefined) {
          shown = sentence;
          button.textContent = label;
          return show(form, { detail: sentence });
        }
      }
      await send(values);
      forget();
      form.hidden = true;
    } catch (error) {
      show(
        form,
        error instanceof ApiProblem
          ? error.problem
          : { detail: `The gateway can't be reached: ${error.message}` },
      );
    } finally {
      button.disabled = false;
    }
  });
};

/** Buttons that open and close forms. */
export const wireButtons = () => {
  for (const button of document.querySelectorAll("[data-opens]")) {
    const form = document.getElementById(button.dataset.opens);
    button.addEventListener("click", () => {
      form.hidden = false;
      form.querySelector("input, select").focus();
    });
  }
  for (const button of document.querySelectorAll("[data-closes]")) {
    const form = document.getElementById(button.dataset.closes);
    button.addEventListener("click", () => {
      form.hidden = true;
      document.querySelector(`[data-opens="${form.id}"]`).focus();
    });
  }
};
