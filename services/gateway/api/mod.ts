/** The HTTP interface: routes per resource, and what all of them share. */
export { Api } from "./app.ts";
