/** @jsxImportSource hono/jsx */
import { type RunLog, subclassLabel } from "@subtaxa/runs";
import { Section, Value } from "./elements.tsx";
import { count, percent, plural } from "./format.ts";
import { bestEpochOf } from "./gallery.ts";
import type { Gallery } from "./input.ts";

const ClassGallery = ({ log, gallery }: { log: RunLog; gallery: Gallery }) => {
  const images = gallery.subclasses.reduce((sum, { size }) => sum + size, 0);
  const best = log.folds.find(({ fold }) => fold === gallery.fold);
  const isBest = best !== undefined && bestEpochOf(best) === gallery.epoch;
  return (
    <table class="gallery">
      <caption>
        <strong>{gallery.class}</strong>
        {": "}
        <Value of={gallery.subclasses.length} as={(n) => plural(n, "sub-class", "sub-classes")} /> of{" "}
        <Value of={images} as={(n) => plural(n, "training image", "training images")} />,{" "}
        {log.spec.folds > 1 ? `fold ${gallery.fold}, ` : ""}epoch {gallery.epoch}
        {isBest ? " (the best)" : " (the last in which it was divided)"}
      </caption>
      <tbody>
        {gallery.subclasses.map(({ id, size, thumbnails }) => {
          const label = subclassLabel(gallery.class, id);
          return (
            <tr>
              <th scope="row">
                {label}
                <small>
                  <Value of={size} as={(n) => plural(n, "image", "images")} />
                  {images > 0 && `, ${percent(size / images, 0)}`}
                </small>
              </th>
              <td>
                <div class="thumbnails">
                  {thumbnails.map(({ source, image }, i) => (
                    <img
                      src={source}
                      alt={`${image}, number ${count(i + 1)} from the centre of ${label}`}
                      title={image}
                    />
                  ))}
                </div>
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
};

/** The visual sub-classes of every class that was divided: the paper's Figure 2. */
export const Galleries = ({ log, galleries }: { log: RunLog; galleries: readonly Gallery[] }) => (
  <Section id="subclasses" title="Sub-classes">
    {galleries.length === 0 ? <p>No class was divided.</p> : (
      <>
        <p class="note">
          Each row is one sub-class with the training images nearest to its centre, the nearest first.
        </p>
        {galleries.map((gallery) => <ClassGallery log={log} gallery={gallery} />)}
      </>
    )}
  </Section>
);
