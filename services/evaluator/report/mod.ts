/** The report of a run: pure rendering, and the choice of what its galleries show. */
export { type GalleryChoice, galleryChoices, galleryOf, type SubclassSample } from "./gallery.ts";
export type { DataUri, Gallery, ReportInput } from "./input.ts";
export { renderReport } from "./report.tsx";
export { thumbnail } from "./thumbnail.ts";
