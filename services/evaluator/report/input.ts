import type { RunLog } from "@subtaxa/runs";

/** An image within the page itself, so that the report needs nothing from elsewhere. */
export type DataUri = `data:image/${string}`;

/** One class as it was divided in one epoch, with the images nearest to each centre. */
export interface Gallery {
  readonly class: string;
  readonly fold: number;
  /** The epoch that was trained on these sub-classes. */
  readonly epoch: number;
  readonly subclasses: readonly {
    readonly id: number;
    /** Training images. */
    readonly size: number;
    /** Nearest first; `image` is its path in the dataset. */
    readonly thumbnails: readonly { readonly source: DataUri; readonly image: string }[];
  }[];
}

/** All that a report is made of. Whatever isn't named here comes from the log. */
export interface ReportInput {
  readonly log: RunLog;
  /** Per fold, the number of training images of every class, in the order of `spec.classes`. */
  readonly training: readonly { readonly fold: number; readonly images: readonly number[] }[];
  readonly galleries: readonly Gallery[];
  /** ISO 8601. */
  readonly generatedAt: string;
}
