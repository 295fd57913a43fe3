import type { TypedArray } from "@tensorflow/tfjs";
import type { TFEOpAttr } from "@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js";
import protobuf from "protobufjs";
import { nativeBackend } from "../load.ts";

/** What is needed of tensorflow/core/framework/graph.proto and what it is made of. */
const GraphDef = protobuf.parse(
  `
  syntax = "proto3";
  message TensorShapeProto {
    message Dim { int64 size = 1; }
    repeated Dim dim = 2;
  }
  message TensorProto {
    int32 dtype = 1;
    TensorShapeProto tensor_shape = 2;
    bytes tensor_content = 4;
  }
  message AttrValue {
    message ListValue {
      repeated bytes s = 2;
      repeated int64 i = 3;
      repeated int32 type = 6;
    }
    oneof value {
      ListValue list = 1;
      bytes s = 2;
      int64 i = 3;
      float f = 4;
      bool b = 5;
      int32 type = 6;
      TensorShapeProto shape = 7;
      TensorProto tensor = 8;
    }
  }
  message NodeDef {
    string name = 1;
    string op = 2;
    repeated string input = 3;
    map<string, AttrValue> attr = 5;
  }
  message GraphDef { repeated NodeDef node = 1; }
`,
  { keepCase: true },
).root.lookupType("GraphDef");

type AttrValue = Readonly<Record<string, unknown>>;

export interface Node {
  readonly name: string;
  /** Registered name of the operation. */
  readonly op: string;
  /** `node:output`, or `^node` for one that has to come before. */
  readonly input?: readonly string[];
  readonly attr: Readonly<Record<string, AttrValue>>;
}

/** An attribute as the add-on takes it, and whether it means a list (see scripts/setup/list_attributes.h). */
export interface NativeAttribute extends TFEOpAttr {
  readonly isList?: boolean;
}

/** A tensor whose values are known, `type` as TensorFlow numbers it. */
export interface Constant {
  readonly type: number;
  readonly shape: readonly number[];
  readonly values: TypedArray;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const shapeOf = (shape: readonly number[]): AttrValue => ({ dim: shape.map((size) => ({ size })) });

export const attrValueOf = ({ type, value, isList = false }: NativeAttribute): AttrValue => {
  const { binding } = nativeBackend();
  switch (type) {
    case binding.TF_ATTR_STRING:
      return isList ? { list: { s: String(value).split(",").map(utf8) } } : { s: utf8(String(value)) };
    case binding.TF_ATTR_INT:
      return Array.isArray(value) ? { list: { i: value } } : { i: value };
    case binding.TF_ATTR_FLOAT:
      return { f: value };
    case binding.TF_ATTR_BOOL:
      return { b: value };
    case binding.TF_ATTR_TYPE:
      return { type: value };
    default:
      return isList ? { list: { type: value } } : { shape: shapeOf(value as number[]) };
  }
};

export const placeholder = (name: string, type: number): Node => ({
  name,
  op: "Placeholder",
  attr: { dtype: { type } },
});

export const constant = (name: string, { type, shape, values }: Constant): Node => ({
  name,
  op: "Const",
  attr: {
    dtype: { type },
    value: {
      tensor: {
        dtype: type,
        tensor_shape: shapeOf(shape),
        tensor_content: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      },
    },
  },
});

/** The nodes as a serialized GraphDef. */
export const encodeGraph = (nodes: readonly Node[]): Uint8Array<ArrayBuffer> =>
  new Uint8Array(GraphDef.encode(GraphDef.fromObject({ node: nodes })).finish());
