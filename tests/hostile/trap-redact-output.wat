;; world: redactor
;; Finds nothing in the prompt and fails on the answer: the direction has six letters.
  (func (export "turnpike:policy/redact@0.1.0#scan")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (if (i32.eq (local.get 1) (i32.const 6)) (then (unreachable)))
    (i32.const 1024))
