/** What checks deploy/: Helm's rendering, kubeconform, hadolint; and what puts an image's files together. */
export { combinations } from "./combinations.ts";
export { DeployError } from "./error.ts";
export {
  chartFolder,
  type Manifest,
  namespace,
  release,
  render,
  type Rendered,
  type Values,
} from "./render.ts";
export { stage, type StageOptions } from "./stage.ts";
export { toolsMissing } from "./tools.ts";
export { validate, type Validation } from "./validate.ts";
